// The charts over time. Each has a height, a legend with the values at an instant, and draws itself into a plot: g, box,
// x (seconds to pixels), pixel (the seconds that one pixel shows).

const chosen = () => runOf(S.policy);
const compared = () => S.other >= 0 ? runOf(S.other) : null;

// visible is the range of bins of a level that the window shows, one beyond on either side.
function visible(series, level) {
  const w = series.width(level);
  return [Math.max(0, Math.floor(S.view[0] / w) - 1), Math.min(series.count(level), Math.ceil(S.view[1] / w) + 1)];
}
// covered is how many seconds of a bin the run lasted.
const covered = (series, level, i) => Math.min(series.width(level), series.run.end - i * series.width(level));
// ratesOf are arrivals per second; bins are wide enough to hold some arrivals each, so that chance does not hide the course.
function rateLevel(series, pixel) {
  const mean = D.requests / Math.max(1, D.length);
  return series.level(Math.max(3 * pixel, Math.min(40 / mean, 12 * pixel)));
}
const rateAt = (series, level, i) => series.column('arrived', level)[i] / covered(series, level, i);

// at reads a column at an instant.
function at(series, name, level, t) {
  const i = Math.floor(t / series.width(level));
  return t >= 0 && t < series.run.end ? series.column(name, level)[i] : null;
}

// points are a column's bins as [x, y] at their middles; what is missing breaks the line unless bridged is set.
function points(p, series, level, value, y, bridged) {
  const [i0, i1] = visible(series, level), w = series.width(level), out = [];
  for (let i = i0; i < i1; i++) {
    const v = value(i);
    if (known(v)) out.push([p.x((i + 0.5) * w), y(v)]);
    else if (!bridged) out.push([0, null]);
  }
  return out;
}
// steps are the same as steps.
function steps(p, series, level, value, y) {
  const [i0, i1] = visible(series, level), w = series.width(level), out = [];
  for (let i = i0; i < i1; i++) {
    const v = value(i);
    if (!known(v)) { out.push([0, null]); continue; }
    out.push([p.x(i * w), y(v)], [p.x(Math.min((i + 1) * w, series.run.end)), y(v)]);
  }
  return out;
}
// highest is the greatest of some columns in the window.
function highest(series, level, ...values) {
  const [i0, i1] = visible(series, level);
  let top = 0;
  for (let i = i0; i < i1; i++) for (const v of values) top = Math.max(top, v(i) || 0);
  return top;
}

// upTo makes a linear axis from zero and draws its lines; whole leaves out what is not a whole number.
function upTo(p, top, n, whole) {
  const y = linear(0, top * 1.08 || 1, p.box.bottom, p.box.top);
  pen(p.g, css('line'), 1);
  for (const t of roundTicks(0, top * 1.08 || 1, n)) {
    if (whole && !Number.isInteger(t)) continue;
    line(p.g, p.box.left, y(t), p.box.right, y(t));
    p.label(num(t), p.box.left - 8, y(t), 'right');
  }
  return y;
}

// area fills between a list of points and a base line.
function area(g, list, base) {
  g.beginPath();
  let first = null, lastX = 0;
  const close = () => { if (first != null) { g.lineTo(lastX, base); g.lineTo(first, base); g.closePath(); first = null; } };
  for (const [x, y] of list) {
    if (y == null) { close(); continue; }
    if (first == null) { first = x; g.moveTo(x, y); } else g.lineTo(x, y);
    lastX = x;
  }
  close();
  g.fill();
}

const box = kind => el('i', {class: 'box ' + kind});
const key = (mark, name, value) => ({mark, name, value});

// forecasts are a run's forecasts as [t, point, upper], at the time that they are for, thinned to the pixels.
function forecasts(series, pixel) {
  const level = series.level(2 * pixel), w = series.width(level), [i0, i1] = visible(series, level);
  const lo = series.column('point', level), hi = series.column('upper', level), out = [];
  const reach = Math.ceil(600 / w) + 4;
  for (let i = Math.max(0, i0 - reach); i < Math.min(lo.length, i1 + reach); i++) if (known(lo[i])) out.push([(i + 0.5) * w, lo[i], hi[i]]);
  return out;
}
// pieces cuts forecasts where there were none for much longer than usual.
function pieces(list) {
  const gaps = list.slice(1).map((p, i) => p[0] - list[i][0]).sort((a, b) => a - b);
  const usual = gaps[gaps.length >> 1] || 0, out = [];
  list.forEach((p, i) => { if (!i || p[0] - list[i - 1][0] > 5 * usual) out.push([]); out[out.length - 1].push(p); });
  return out;
}

const demand = {
  id: 'demand', title: 'Demand', unit: 'requests/s', height: 170,
  draw(p) {
    const s = chosen().series, level = rateLevel(s, p.pixel), guess = forecasts(s, p.pixel);
    const seen = guess.filter(f => f[0] >= S.view[0] && f[0] <= S.view[1]);
    const top = Math.max(highest(s, level, i => rateAt(s, level, i)), ...seen.map(f => f[2]));
    const y = upTo(p, top, 5);
    for (const piece of pieces(guess)) {
      p.g.fillStyle = css('forecast-area');
      p.g.beginPath();
      piece.forEach(f => p.g.lineTo(p.x(f[0]), y(f[2])));
      [...piece].reverse().forEach(f => p.g.lineTo(p.x(f[0]), y(f[1])));
      p.g.fill();
    }
    pen(p.g, css('demand'), 1.75);
    path(p.g, points(p, s, level, i => rateAt(s, level, i), y));
    for (const piece of pieces(guess)) {
      pen(p.g, css('forecast'), 1.5, [5, 3]);
      path(p.g, piece.map(f => [p.x(f[0]), y(f[1])]));
      pen(p.g, css('forecast'), 1);
      path(p.g, piece.map(f => [p.x(f[0]), y(f[2])]));
    }
  },
  legend(t, pixel) {
    const s = chosen().series, level = rateLevel(s, pixel), i = t == null ? -1 : Math.floor(t / s.width(level));
    const keys = [key(box('demand line'), 'what came', t == null || t > s.run.end ? null : num(rateAt(s, level, i)))];
    const guess = forecasts(s, pixel);
    if (!guess.length) return [...keys, key(null, `${nameOf(S.policy)} makes no forecast`)];
    const near = t == null ? null : guess.reduce((a, b) => Math.abs(b[0] - t) < Math.abs(a[0] - t) ? b : a);
    const there = near && Math.abs(near[0] - t) < Math.max(60, 6 * pixel) ? near : null;
    return [...keys, key(box('forecast dashed'), 'forecast for then', there && num(there[1])), key(box('forecast-band'), 'up to its quantile', there && num(there[2]))];
  },
};

// The states of replicas, from the bottom of the stack.
const STATES = [['ready', 'ready'], ['starting', 'starting'], ['draining', 'draining'], ['unschedulable', 'unschedulable']];

const replicas = {
  id: 'replicas', title: 'Replicas', unit: '', height: 190,
  draw(p) {
    const s = chosen().series, level = s.level(p.pixel), o = compared(), base = s.column('ready', level).map(() => 0);
    const columns = STATES.map(([, name]) => s.column(name, level)), ol = o && o.series.level(p.pixel), other = o && held(o.series, ol);
    const top = Math.max(highest(s, level, i => sum(columns.map(c => c[i] || 0)), i => s.column('desired', level)[i]), o ? highest(o.series, ol, i => other[i]) : 0, 1);
    const y = upTo(p, top, 5, true);
    STATES.forEach(([state], k) => {
      const upper = base.map((b, i) => columns[k][i] == null ? null : b + columns[k][i]);
      if (columns[k].some(v => v > 0)) layer(p, s, level, base, upper, y, state);
      upper.forEach((v, i) => { base[i] = v ?? base[i]; });
    });
    pen(p.g, css('asked'), 1.75);
    path(p.g, steps(p, s, level, i => s.column('desired', level)[i], y));
    if (o) {
      pen(p.g, colourOf(S.other), 1.75, [5, 3]);
      path(p.g, steps(p, o.series, ol, i => other[i], y));
    }
    changes(p);
  },
  legend(t, pixel) {
    const s = chosen().series, o = compared(), value = name => t == null ? null : num(at(s, name, 0, t));
    const used = STATES.filter(([, name], k) => k < 2 || s.column(name, s.levels - 1).some(v => v > 0));
    const keys = used.map(([state, name]) => key(box(state), name, value(name)));
    keys.push(key(box('asked line'), 'asked for', value('desired')));
    if (o) keys.push(key(swatchDashed(S.other), nameOf(S.other) + ' holds', t == null || t >= o.end ? null : num(held(o.series, 0)[Math.floor(t / o.width)])));
    return keys;
  },
};

// layer fills one state between what is below it and itself.
function layer(p, s, level, lower, upper, y, state) {
  const [i0, i1] = visible(s, level), w = s.width(level), g = p.g;
  g.fillStyle = fillOf(g, state);
  g.beginPath();
  for (let i = i0; i < i1; i++) {
    if (upper[i] == null || upper[i] <= lower[i]) continue;
    let j = i;
    while (j + 1 < i1 && upper[j + 1] === upper[i] && lower[j + 1] === lower[i]) j++;
    const x0 = p.x(i * w), x1 = p.x(Math.min((j + 1) * w, s.run.end));
    g.rect(x0, y(upper[i]), x1 - x0, y(lower[i]) - y(upper[i]));
    i = j;
  }
  g.fill();
}

// fillOf is a state's colour, hatched for those that do not serve, so that they differ without colour too.
function fillOf(g, state) {
  if (state === 'ready') return css('ready');
  const c = document.createElement('canvas'), ratio = window.devicePixelRatio || 1;
  c.width = c.height = 6 * ratio;
  const h = c.getContext('2d');
  h.scale(ratio, ratio);
  h.fillStyle = css(state + '-back');
  h.fillRect(0, 0, 6, 6);
  h.strokeStyle = css(state);
  h.lineWidth = 1.5;
  h.beginPath();
  if (state === 'starting') { h.moveTo(-1, 7); h.lineTo(7, -1); h.moveTo(-1, 1); h.lineTo(1, -1); h.moveTo(5, 7); h.lineTo(7, 5); }
  if (state === 'draining') { h.moveTo(0, 3); h.lineTo(6, 3); }
  if (state === 'unschedulable') { h.moveTo(0, 0); h.lineTo(6, 6); h.moveTo(0, 6); h.lineTo(6, 0); }
  h.stroke();
  const pattern = g.createPattern(c, 'repeat');
  pattern.setTransform(new DOMMatrix([1 / ratio, 0, 0, 1 / ratio, 0, 0]));
  return pattern;
}

// changes marks on the lower edge the decisions that changed the replicas.
function changes(p) {
  const run = chosen(), t = decisionColumn(run, 't'), from = decisionColumn(run, 'from'), to = decisionColumn(run, 'to');
  p.g.fillStyle = css('asked');
  for (let i = 0; i < t.length; i++) {
    if (from[i] === to[i] || t[i] < S.view[0] || t[i] > S.view[1]) continue;
    const x = p.x(t[i]), up = to[i] > from[i], y = p.box.bottom;
    p.g.beginPath();
    p.g.moveTo(x - 3, up ? y + 1 : y - 5);
    p.g.lineTo(x + 3, up ? y + 1 : y - 5);
    p.g.lineTo(x, up ? y - 5 : y + 1);
    p.g.fill();
  }
}

function swatchDashed(policy) {
  const i = box('dashed');
  i.style.setProperty('--c', colourOf(policy));
  return i;
}

const queue = {
  id: 'queue', title: 'Requests waiting for their first token', unit: 'requests', height: 130,
  draw(p) {
    const s = chosen().series, level = s.level(2 * p.pixel), o = compared(), ol = o && o.series.level(2 * p.pixel);
    const waiting = s.column('waiting', level), queued = s.column('queued', level), other = o && o.series.column('waiting', ol);
    const top = Math.max(highest(s, level, i => waiting[i], i => queued[i]), o ? highest(o.series, ol, i => other[i]) : 0, 1);
    const y = upTo(p, top, 3);
    const all = points(p, s, level, i => waiting[i], y);
    p.g.fillStyle = css('waiting-area');
    area(p.g, all, p.box.bottom);
    p.g.fillStyle = css('queued');
    area(p.g, points(p, s, level, i => queued[i], y, true), p.box.bottom);
    pen(p.g, css('waiting'), 1.25);
    path(p.g, all);
    if (o) { pen(p.g, colourOf(S.other), 1.25, [5, 3]); path(p.g, points(p, o.series, ol, i => other[i], y)); }
  },
  legend(t, pixel) {
    const s = chosen().series, level = s.level(2 * pixel), value = name => t == null ? null : num(at(s, name, level, t));
    const keys = [key(box('waiting'), 'all', value('waiting')), key(box('queued'), 'of these held by the gateway', value('queued'))];
    if (compared()) keys.push(key(swatchDashed(S.other), nameOf(S.other), t == null ? null : num(at(compared().series, 'waiting', compared().series.level(2 * pixel), t))));
    return keys;
  },
};

const ttft = {
  id: 'ttft', title: 'Time to first token', unit: 'logarithmic', height: 170,
  draw(p) {
    const s = chosen().series, level = s.level(4 * p.pixel), o = compared(), ol = o && o.series.level(4 * p.pixel);
    const p50 = s.column('ttft50', level), p99 = s.column('ttft99', level), other = o && o.series.column('ttft99', ol), goal = D.slo.ttft_s;
    const [i0, i1] = visible(s, level), seen = [...p50.slice(i0, i1), ...p99.slice(i0, i1), ...(o ? other.slice(...visible(o.series, ol)) : [])].filter(v => v > 0);
    const lo = Math.min(...seen, goal || 1) / 1.4, hi = Math.max(...seen, goal || 0) * 1.4, y = log(lo, hi, p.box.bottom, p.box.top);
    if (goal) {
      p.g.fillStyle = css('bad-area');
      p.g.fillRect(p.box.left, p.box.top, p.box.right - p.box.left, y(goal) - p.box.top);
    }
    pen(p.g, css('line'), 1);
    const ticks = thin(logTicks(lo, hi), y, 14);
    for (const t of ticks) {
      line(p.g, p.box.left, y(t), p.box.right, y(t));
      if (!goal || Math.abs(y(t) - y(goal)) > 11) p.label(seconds(t), p.box.left - 8, y(t), 'right');
    }
    if (goal) {
      pen(p.g, css('bad'), 1.25, [5, 4]);
      line(p.g, p.box.left, y(goal), p.box.right, y(goal));
      p.label(seconds(goal), p.box.left - 8, y(goal), 'right', css('bad'));
    }
    if (o) { pen(p.g, colourOf(S.other), 1.25, [5, 3]); path(p.g, points(p, o.series, ol, i => other[i], y)); }
    pen(p.g, css('p99'), 1.75);
    path(p.g, points(p, s, level, i => p99[i], y));
    pen(p.g, css('p50'), 1.25);
    path(p.g, points(p, s, level, i => p50[i], y));
  },
  legend(t, pixel) {
    const s = chosen().series, level = s.level(4 * pixel), value = name => t == null ? null : seconds(at(s, name, level, t));
    const keys = [key(box('p99 line'), 'p99', value('ttft99')), key(box('p50 line'), 'p50', value('ttft50'))];
    if (compared()) keys.push(key(swatchDashed(S.other), nameOf(S.other) + ' p99', t == null ? null : seconds(at(compared().series, 'ttft99', compared().series.level(4 * pixel), t))));
    if (D.slo.ttft_s) keys.push(key(box('bad dashed'), 'objective', seconds(D.slo.ttft_s)));
    return keys;
  },
};

const LANE = 17;
const misses = {
  id: 'misses', title: 'Requests that missed the SLO', unit: 'each policy, by time of arrival',
  get height() { return 34 + LANE * runsNow().length; },
  draw(p) {
    runsNow().forEach((run, k) => {
      const s = run.series, level = s.level(3 * p.pixel), arrived = s.column('arrived', level), missed = s.column('missed', level);
      const y = p.box.top + k * LANE, [i0, i1] = visible(s, level), w = s.width(level);
      p.g.fillStyle = css('lane');
      p.g.fillRect(p.box.left, y + 1, p.box.right - p.box.left, LANE - 3);
      for (let i = i0; i < i1; i++) {
        if (!missed[i]) continue;
        p.g.globalAlpha = 0.12 + 0.88 * Math.sqrt(missed[i] / arrived[i]);
        p.g.fillStyle = css('bad');
        const x0 = p.x(i * w), x1 = p.x((i + 1) * w);
        p.g.fillRect(x0, y + 1, Math.max(1.5, x1 - x0), LANE - 3);
      }
      p.g.globalAlpha = 1;
      p.g.font = (run.policy === S.policy ? '600 ' : '') + FONT;
      p.label(fit(p.g, nameOf(run.policy), p.box.left - 12), p.box.left - 8, y + LANE / 2 - 0.5, 'right', css(run.policy === S.policy ? 'ink' : 'soft'));
      p.g.font = FONT;
    });
  },
  legend(t, pixel) {
    const s = chosen().series, level = s.level(3 * pixel), n = at(s, 'arrived', level, t ?? -1), m = at(s, 'missed', level, t ?? -1);
    return [key(box('bad'), 'all missed'), key(box('bad-faint'), 'some'), key(null, nameOf(S.policy), t == null || !known(n) ? null : `${m} of ${n}`)];
  },
  click(y) {
    const run = runsNow()[Math.floor((y - 8) / LANE)];
    if (run) choose(run.policy);
  },
};

// spent are the GPU-hours of a run up to the end of each of its bins.
function spent(run) {
  if (!run.spent) {
    let total = 0;
    run.spent = [0, ...held(run.series, 0).map((h, i) => (total += (h || 0) * run.gpus * covered(run.series, 0, i) / 3600))];
  }
  return run.spent;
}
function spentAt(run, t) {
  const list = spent(run), i = clamp(Math.floor(t / run.width), 0, list.length - 2);
  const part = clamp((t - i * run.width) / covered(run.series, 0, i), 0, 1);
  return list[i] + (list[i + 1] - list[i]) * part;
}
const oracleRun = () => runsNow().find(r => isOracle(r.policy));
const costAt = (run, t) => spentAt(run, t) - (S.beyond && oracleRun() ? spentAt(oracleRun(), t) : 0);

const cost = {
  id: 'cost', get title() { return S.beyond && oracleRun() ? 'GPU-hours beyond the oracle’s, up to then' : 'GPU-hours up to then'; }, unit: '', height: 190,
  draw(p) {
    const list = runsNow(), [t0, t1] = S.view, values = list.flatMap(r => [0, 0.25, 0.5, 0.75, 1].map(k => costAt(r, t0 + k * (t1 - t0))));
    const lo = Math.min(...values), hi = Math.max(...values), pad = (hi - lo) * 0.06 || 1;
    const y = linear(lo === 0 ? 0 : lo - pad, hi + pad, p.box.bottom, p.box.top);
    pen(p.g, css('line'), 1);
    for (const t of roundTicks(y.invert(p.box.bottom), y.invert(p.box.top), 4)) {
      line(p.g, p.box.left, y(t), p.box.right, y(t));
      p.label(num(t), p.box.left - 8, y(t), 'right');
    }
    for (const r of [...list].sort((a, b) => (a.policy === S.policy) - (b.policy === S.policy))) {
      pen(p.g, colourOf(r.policy), r.policy === S.policy ? 2.75 : 1.25, dashOf(r.policy));
      const line_ = [];
      for (let x = p.box.left; x <= p.box.right; x += 2) {
        const t = p.x.invert(x);
        if (t <= Math.max(r.end, D.length)) line_.push([x, y(costAt(r, t))]);
      }
      path(p.g, line_);
    }
  },
  legend(t) {
    const upTo_ = t ?? S.view[1];
    return runsNow().map(r => ({...key(swatch(r.policy), nameOf(r.policy), num(costAt(r, upTo_))), policy: r.policy}));
  },
};

const CHARTS = [demand, replicas, queue, ttft, misses, cost];
