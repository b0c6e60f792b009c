// What a policy costs against what it attains, at one lead time.

// isOracle says whether a policy is the one that knows the future.
const isOracle = i => nameOf(i) === 'oracle';
const isOurs = i => nameOf(i) === 'preheat';

// priceOf is what the charts lay out along: GPU-hours as a multiple of the oracle's where there is one.
function pricing() {
  const rows = resultsNow(), oracle = rows.find(r => isOracle(r.policy));
  const base = oracle && oracle.figures.gpu_hours > 0 ? oracle.figures.gpu_hours : 0;
  return {of: h => base ? h / base : h, unit: base ? ' ×' : '', base,
    title: base ? `GPU-hours, as a multiple of the oracle’s ${hoursText(base)}` : 'GPU-hours'};
}

// tradeoffPoints are the results at the present lead time, and the settings tried beside them.
function tradeoffPoints(price) {
  const points = resultsNow().map(r => ({
    policy: r.policy, x: price.of(r.figures.gpu_hours), y: r.figures.attainment, label: nameOf(r.policy), result: r,
    x0: price.of(r.figures.gpu_hours_low), x1: price.of(r.figures.gpu_hours_high), y0: r.figures.attainment_low, y1: r.figures.attainment_high,
  }));
  const settings = D.settings.map(s => ({policy: s.policy, x: price.of(s.gpu_hours), y: s.attainment, setting: s.label}));
  return {points: points.filter(p => known(p.x) && known(p.y)), settings: settings.filter(p => known(p.x) && known(p.y))};
}

let frontierHits = [];
function drawFrontier() {
  const price = pricing(), {points, settings} = tradeoffPoints(price);
  $('tradeoff').hidden = points.length < 2;
  if (points.length < 2) return;
  $('tradeoff-note').textContent = 'Up is better, left is cheaper. Above the line the SLO is met; the scale stretches the last per cent, where it is decided. '
    + 'The stepped line joins the policies that no other one beats both ways.' + (settings.length ? ' Small points are other settings of a policy.' : '');
  const all = [...points, ...settings];
  const label = 'Attainment against ' + price.title + ': ' + points.map(p => `${p.label} ${percent(p.y)} at ${num(p.x)}${price.unit}`).join('; ');
  const {g, width, height} = surface($('frontier'), 360, label);
  const box = {left: 64, right: width - 16, top: 14, bottom: height - 44};
  const y = attainmentScale(lowestShare(all.flatMap(p => [p.y, p.y0]).filter(known)), box.bottom - 6, box.top + 8);
  const x = priceAxis(g, box, all, price);
  attainmentAxis(g, box, y);
  paretoLine(g, points.filter(p => !isOracle(p.policy)), x, y, box);
  D.policies.forEach((_, i) => joinSettings(g, i, settings.filter(p => p.policy === i), x, y));
  settings.forEach(p => { g.globalAlpha = 0.55; point(g, p.policy, x(p.x), y(p.y), 2.5); g.globalAlpha = 1; });
  points.forEach(p => whiskers(g, p, x, y));
  points.forEach(p => point(g, p.policy, x(p.x), y(p.y), isOurs(p.policy) || isOracle(p.policy) ? 7 : 5.5));
  const placed = p => ({...p, px: x(p.x), py: y(p.y)});
  labelPoints(g, points.map(placed), settings.map(placed), box);
  frontierHits = all.map(placed);
}

// priceAxis draws the horizontal axis and returns its scale: logarithmic where the dearest is far beyond the cheapest.
function priceAxis(g, box, points, price) {
  const xs = points.flatMap(p => [p.x, p.x0, p.x1]).filter(x => known(x) && x > 0), lo = Math.min(...xs), hi = Math.max(...xs), wide = hi / lo > 2.5;
  const pad = wide ? 1.12 : Math.max((hi - lo) * 0.08, hi * 0.02);
  const from = wide ? lo / pad : Math.max(0, lo - pad), to = wide ? hi * pad : hi + pad * 1.6;
  const x = wide ? log(from, to, box.left, box.right) : linear(from, to, box.left, box.right);
  const ticks = wide ? thin(logTicks(from, to), x, 48) : roundTicks(from, to, (box.right - box.left) / 90);
  pen(g, css('line'), 1);
  for (const t of ticks) {
    line(g, x(t), box.top, x(t), box.bottom);
    text(g, num(t) + price.unit, x(t), box.bottom + 12, 'center');
  }
  text(g, price.title, (box.left + box.right) / 2, box.bottom + 32, 'center');
  return x;
}

// attainmentAxis draws the vertical axis, with the region where the SLO is met.
function attainmentAxis(g, box, y) {
  const goal = y(D.slo.attainment);
  g.fillStyle = css('good-area');
  g.fillRect(box.left, box.top, box.right - box.left, goal - box.top);
  pen(g, css('line'), 1);
  for (const t of y.ticks) {
    line(g, box.left, y(t), box.right, y(t));
    if (Math.abs(y(t) - goal) >= 12 || t === D.slo.attainment) text(g, shareLabel(t), box.left - 8, y(t), 'right');
  }
  pen(g, css('good'), 1.5, [5, 4]);
  line(g, box.left, goal, box.right, goal);
  g.setLineDash([]);
  text(g, `SLO: ${shareLabel(D.slo.attainment)} of requests`, box.right - 4, goal - 8, 'right', css('good'));
}

// paretoLine joins what no other policy beats both ways.
function paretoLine(g, points, x, y, box) {
  let best = -1;
  const corners = [];
  for (const p of [...points].sort((a, b) => a.x - b.x || b.y - a.y)) {
    if (p.y <= best) continue;
    if (corners.length) corners.push([x(p.x), corners[corners.length - 1][1]]);
    corners.push([x(p.x), y(p.y)]);
    best = p.y;
  }
  if (!corners.length) return;
  corners.push([box.right, corners[corners.length - 1][1]]);
  pen(g, css('soft'), 1, [1, 3]);
  path(g, corners);
}

// joinSettings draws the line along which a policy moves as it is set otherwise.
function joinSettings(g, policy, settings, x, y) {
  g.globalAlpha = 0.35;
  pen(g, colourOf(policy), 1);
  path(g, settings.sort((a, b) => a.x - b.x).map(p => [x(p.x), y(p.y)]));
  g.globalAlpha = 1;
}

function whiskers(g, p, x, y) {
  pen(g, colourOf(p.policy), 1);
  if (known(p.y0) && p.y1 > p.y0) line(g, x(p.x), y(p.y0), x(p.x), y(clamp(p.y1, 0, 1)));
  if (known(p.x0) && p.x1 > p.x0) line(g, x(Math.max(0, p.x0)), y(p.y), x(p.x1), y(p.y));
}

// labelPoints writes each point's name where it hits neither a point nor another name, as near as can be.
function labelPoints(g, points, others, box) {
  const around = r => p => ({x0: p.px - r, x1: p.px + r, y0: p.py - r, y1: p.py + r});
  const taken = [...points.map(around(7)), ...others.map(around(3))];
  const first = p => (isOurs(p.policy) ? 0 : isOracle(p.policy) ? 1 : 2);
  for (const p of [...points].sort((a, b) => first(a) - first(b) || a.px - b.px)) {
    g.font = (isOurs(p.policy) ? '600 ' : '') + FONT;
    g.textAlign = 'left';
    g.textBaseline = 'middle';
    const place = freePlace(p, g.measureText(p.label).width, taken, box);
    if (place) {
      if (place.far) { pen(g, css('soft'), 0.75); line(g, p.px + place.dx * 7 / place.far, p.py + place.dy * 7 / place.far, place.ax, place.y); }
      pen(g, css('page'), 3);
      g.strokeText(p.label, place.x0, place.y);
      text(g, p.label, place.x0, place.y, 'left', css('ink'));
      taken.push({x0: place.x0 - 2, x1: place.x1 + 2, y0: place.y - 6, y1: place.y + 6});
    }
  }
  g.font = FONT;
}

function freePlace(p, width, taken, box) {
  for (const far of [0, 20, 32, 46, 62, 80, 100])
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, -1], [0, 1], [0.8, -0.6], [0.8, 0.6], [-0.8, -0.6], [-0.8, 0.6]]) {
      const ax = p.px + dx * Math.max(11, far), y = p.py + dy * Math.max(14, far);
      const x0 = dx > 0.1 ? ax : dx < -0.1 ? ax - width : ax - width / 2;
      const r = {x0, x1: x0 + width, y0: y - 6, y1: y + 6};
      const inside = r.x0 >= box.left + 2 && r.x1 <= box.right - 2 && r.y0 >= box.top && r.y1 <= box.bottom;
      if (inside && !taken.some(t => r.x0 < t.x1 && r.x1 > t.x0 && r.y0 < t.y1 && r.y1 > t.y0)) return {...r, y, ax: dx > 0.1 ? ax - 2 : dx < -0.1 ? ax + 2 : ax, dx: far ? dx * far : 0, dy: far ? dy * far : 0, far};
    }
  return null;
}

// nearestPoint is the point of the frontier under the pointer.
function nearestPoint(e) {
  const r = $('frontier').getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top;
  const d = p => (p.px - x) ** 2 + (p.py - y) ** 2;
  const best = frontierHits.reduce((a, b) => !a || d(b) < d(a) ? b : a, null);
  return best && d(best) < 400 ? best : null;
}
function listenFrontier() {
  $('frontier').addEventListener('pointermove', e => {
    const p = nearestPoint(e);
    $('frontier').style.cursor = p && !p.setting && runOf(p.policy) ? 'pointer' : '';
    if (!p) return hideTip();
    const r = p.result, price = pricing();
    showTip(e, el('b', {}, nameOf(p.policy)), p.setting ? ` (${p.setting})` : '', el('br'), percent(p.y) + ' attained, ' + (price.unit ? num(p.x) + price.unit + ' the oracle' : hoursText(p.x) + ' GPU-hours'),
      r && price.base ? [el('br'), hoursText(r.figures.gpu_hours) + ' GPU-hours'] : []);
  });
  $('frontier').addEventListener('pointerleave', hideTip);
  $('frontier').addEventListener('click', e => { const p = nearestPoint(e); if (p && !p.setting) choose(p.policy); });
}

function showTip(e, ...kids) {
  const tip = $('tip');
  tip.replaceChildren(...kids.flat());
  tip.hidden = false;
  const left = clamp(e.clientX + 14, 4, window.innerWidth - tip.offsetWidth - 8);
  tip.style.transform = `translate(${left}px, ${Math.max(4, e.clientY - tip.offsetHeight - 10)}px)`;
}
function hideTip() { $('tip').hidden = true; }
