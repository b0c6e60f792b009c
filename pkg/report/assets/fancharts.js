// The charts of a forecast: the fan, its coverage and loss, and the weights of the experts.

// near is the place of the forecast nearest to an instant, -1 where there is none.
function near(list, t) {
  if (t == null || !list.length) return -1;
  const i = clamp(last(list, t), 0, list.length - 1);
  return i + 1 < list.length && list[i + 1] - t < t - list[i] ? i + 1 : i;
}
// seen is the range of places that the window shows, one beyond on either side.
const seen = list => [Math.max(0, last(list, F.view[0])), Math.min(list.length, last(list, F.view[1]) + 2)];

// faint is a colour of the theme at an opacity, as a canvas takes it.
function faint(name, alpha) {
  const c = css(name), n = parseInt(c.slice(1, 7), 16);
  return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
}

// gap is the usual time between two forecasts; over longer ones no curve is drawn.
function gap(at) {
  const steps = at.slice(1).map((t, i) => t - at[i]).sort((a, b) => a - b);
  return (steps[Math.floor(steps.length * 0.9)] || 1) * 3;
}

// runs_ are the stretches [from, to) of places without a gap.
function stretches(at, i0, i1) {
  const wide = gap(at), out = [];
  for (let i = i0, from = i0; i < i1; i++)
    if (i + 1 === i1 || at[i + 1] - at[i] > wide) { out.push([from, i + 1]); from = i + 1; }
  return out;
}

// curve draws a column over the stretches.
function curve(p, at, values, y, from, to) {
  path(p.g, Array.from({length: to - from}, (_, i) => known(values[from + i]) ? [p.x(at[from + i]), y(values[from + i])] : [0, null]));
}

const fan = {
  id: 'fan', height: 300, title: () => `Demand and what was forecast ${span(horizonNow().seconds)} before`, unit: () => seriesNow().unit,
  draw(p) {
    const h = horizonNow(), at = column(h.at), actual = column(h.actual), qs = h.values.map(column), [i0, i1] = seen(at);
    const top = topOf([actual, qs[D.upper]], i0, i1, qs[qs.length - 1]);
    const y = upTo(p, top, 5);
    for (const [from, to] of stretches(at, i0, i1)) {
      for (let k = qs.length - 1; k > 0; k--) {
        p.g.fillStyle = faint('hue0', 0.16 + 0.14 * (qs.length - 1 - k) / Math.max(1, qs.length - 2));
        p.g.beginPath();
        for (let i = from; i < to; i++) p.g.lineTo(p.x(at[i]), y(qs[k][i]));
        for (let i = to - 1; i >= from; i--) p.g.lineTo(p.x(at[i]), y(qs[k - 1][i]));
        p.g.fill();
      }
      pen(p.g, css('hue0'), 1.25, [5, 3]);
      curve(p, at, qs[0], y, from, to);
      pen(p.g, css('hue0'), 1);
      if (D.upper > 0) curve(p, at, qs[D.upper], y, from, to);
      pen(p.g, css('demand'), 1.25);
      curve(p, at, actual, y, from, to);
    }
    p.g.fillStyle = css('bad');
    for (let i = i0; i < i1; i++) {
      if (!known(actual[i]) || actual[i] <= qs[D.upper][i]) continue;
      p.g.beginPath();
      p.g.arc(p.x(at[i]), y(actual[i]), 2.4, 0, 7);
      p.g.fill();
    }
  },
  legend(t) {
    const h = horizonNow(), at = column(h.at), i = near(at, t), value = c => i < 0 ? null : num(column(c)[i]);
    return [key(box('line actual'), 'demand', value(h.actual)),
      ...h.values.map((c, k) => key(k ? shade(k, h.values.length) : dashed('hue0'), D.quantiles[k] + ' quantile', value(c))),
      key(box('miss'), `above the ${UPPER()} quantile`)];
  },
};
// topOf is the top of the axis: what the columns reach, and the highest quantile unless it is far beyond them.
function topOf(columns, i0, i1, highest) {
  let top = 0, edge = 0;
  for (let i = i0; i < i1; i++) {
    for (const c of columns) top = Math.max(top, c[i] || 0);
    edge = Math.max(edge, highest[i] || 0);
  }
  return edge < 1.6 * top ? Math.max(top, edge) : 1.3 * top;
}
function shade(k, n) {
  const b = box('');
  b.style.background = faint('hue0', Math.min(0.8, 0.16 + 0.17 * (n - 1 - k)));
  if (k === D.upper) b.style.borderTop = '1.5px solid ' + css('hue0');
  return b;
}
function dashed(name) {
  const b = box('dashed');
  b.style.setProperty('--c', css(name));
  return b;
}
function filled(name) {
  const b = box('');
  b.style.background = css(name);
  return b;
}
function stroke(name) {
  const b = box('line');
  b.style.borderColor = css(name);
  return b;
}

// Bins of coverage and loss: the middle of each, and those that have enough in them.
const binAt = (h, i) => h.since + (i + 0.5) * h.width;
const binOf = (h, t) => t == null || !h.width ? -1 : Math.floor((t - h.since) / h.width);
const scoredBins = h => column(h.scored) || [];
// binCurve draws a value of each bin as a line through their middles.
function binCurve(p, h, value, y) {
  path(p.g, scoredBins(h).map((n, i) => n && known(value(i)) ? [p.x(binAt(h, i)), y(value(i))] : [0, null]));
}

const COVER = ['hue7', 'hue2', 'hue3', 'hue4', 'hue5', 'hue6'];
const coverage = {
  id: 'coverage', height: 150, title: () => 'How often demand stayed below', unit: () => `share of the forecasts of ${span(horizonNow().width)}; dashed: as it should be`,
  empty: () => !horizonNow().covered.length,
  draw(p) {
    const h = horizonNow(), shares = h.covered.map(c => column(c).map((n, i) => n / scoredBins(h)[i]));
    const lowest = Math.min(...shares.flat().filter(known), ...D.quantiles);
    const y = linear(Math.max(0, Math.floor(lowest * 10 - 0.5) / 10), 1.02, p.box.bottom, p.box.top);
    pen(p.g, css('line'), 1);
    for (const t of roundTicks(Math.max(0, Math.floor(lowest * 10 - 0.5) / 10), 1, 6)) {
      line(p.g, p.box.left, y(t), p.box.right, y(t));
      p.label(Math.round(t * 100) + ' %', p.box.left - 8, y(t), 'right');
    }
    shares.forEach((share, k) => {
      pen(p.g, css(COVER[k % COVER.length]), 1, [3, 3]);
      line(p.g, p.box.left, y(D.quantiles[k]), p.box.right, y(D.quantiles[k]));
      pen(p.g, css(COVER[k % COVER.length]), 1.5);
      binCurve(p, h, i => share[i], y);
    });
  },
  legend(t) {
    const h = horizonNow(), i = binOf(h, t);
    return h.covered.map((c, k) => key(stroke(COVER[k % COVER.length]), D.quantiles[k] + ' quantile', i >= 0 && scoredBins(h)[i] ? shareText(column(c)[i] / scoredBins(h)[i]) : null));
  },
};

const lossOf = (h, i) => column(h.losses)[i] / column(h.reference)[i];
const skill = {
  id: 'skill', height: 130, title: () => 'Loss beside that of the last value', unit: () => 'below 1 the forecast is the better one',
  empty: () => !horizonNow().covered.length,
  draw(p) {
    const h = horizonNow(), values = scoredBins(h).map((n, i) => n ? lossOf(h, i) : null).filter(known);
    const y = upTo(p, clamp(Math.max(1.3, ...values), 1.3, 2.5), 4);
    const points = scoredBins(h).map((n, i) => n && known(lossOf(h, i)) ? [p.x(binAt(h, i)), y(lossOf(h, i))] : [0, null]);
    p.g.save();
    for (const [name, from, to] of [['good', y(1), p.box.bottom], ['bad', 0, y(1)]]) {
      p.g.save();
      p.g.beginPath();
      p.g.rect(p.box.left, from, p.box.right - p.box.left, to - from);
      p.g.clip();
      p.g.fillStyle = faint(name, 0.18);
      area(p.g, points, y(1));
      p.g.restore();
    }
    p.g.restore();
    scoredBins(h).forEach((n, i) => { // a strip along the top: the darker, the more often the last value stood in
      if (!n || !column(h.stood_in)[i]) return;
      p.g.fillStyle = faint('hue7', 0.85 * column(h.stood_in)[i] / n);
      p.g.fillRect(p.x(h.since + i * h.width), p.box.top, Math.max(1, p.x(h.since + (i + 1) * h.width) - p.x(h.since + i * h.width)), 7);
    });
    pen(p.g, css('soft'), 1, [3, 3]);
    line(p.g, p.box.left, y(1), p.box.right, y(1));
    pen(p.g, css('hue0'), 1.5);
    path(p.g, points);
  },
  legend(t) {
    const h = horizonNow(), i = binOf(h, t);
    return [key(stroke('hue0'), 'forecast', i >= 0 && scoredBins(h)[i] ? ratioText(lossOf(h, i)) : null), key(dashed('soft'), 'last value'),
      key(filled('hue7'), 'withdrawn', i >= 0 && scoredBins(h)[i] ? shareText(column(h.stood_in)[i] / scoredBins(h)[i]) : null)];
  },
};

const EXPERTS = ['hue0', 'hue2', 'hue3', 'hue5', 'hue4', 'hue6', 'good', 'hue7'];
const weights = {
  id: 'weights', height: 190, title: () => 'Weights of the experts', unit: () => 'share in the forecast, mean over the quantiles',
  empty: () => !horizonNow().experts.length,
  draw(p) {
    const h = horizonNow(), at = column(h.weights_at).map(t => t), y = linear(0, 1, p.box.bottom, p.box.top), base = at.map(() => 0);
    h.experts.forEach((e, k) => {
      const shares = column(e.shares), below = base.slice();
      shares.forEach((s, i) => { base[i] += s || 0; });
      p.g.fillStyle = faint(EXPERTS[k % EXPERTS.length], 0.75);
      p.g.beginPath();
      at.forEach((t, i) => p.g.lineTo(p.x(t), y(base[i])));
      for (let i = at.length - 1; i >= 0; i--) p.g.lineTo(p.x(at[i]), y(below[i]));
      p.g.fill();
      pen(p.g, css('page'), 0.75);
      path(p.g, at.map((t, i) => [p.x(t), y(base[i])]));
    });
    for (const t of [0, 0.25, 0.5, 0.75, 1]) p.label(t * 100 + ' %', p.box.left - 8, y(t), 'right');
  },
  legend(t) {
    const h = horizonNow(), i = near(column(h.weights_at), t);
    return h.experts.map((e, k) => {
      const b = box('');
      b.style.background = faint(EXPERTS[k % EXPERTS.length], 0.75);
      return key(b, e.name, i < 0 ? null : shareText(column(e.shares)[i]));
    });
  },
};

const FANS = [fan, skill, coverage, weights];
