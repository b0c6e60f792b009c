// The charts of what came, and of the replicas that were there for it.

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
