// The window of time that the charts of a forecast share: zooming, panning, the line under the pointer.

const FAN = {left: 64, right: 14, top: 8, bottom: 22};
const fans = [];

function buildFans() {
  for (const chart of FANS) {
    const f = {chart, title: el('h3'), legend: el('div', {class: 'legend'}), host: el('div', {class: 'canvas'}),
      cross: el('div', {class: 'cross', hidden: true}), sel: el('div', {class: 'sel', hidden: true}), stamp: el('div', {class: 'stamp', hidden: true})};
    f.host.append(f.cross, f.sel, f.stamp);
    f.root = el('figure', {id: 'chart-' + chart.id}, el('figcaption', {}, f.title, f.legend), f.host);
    $('charts').append(f.root);
    fans.push(f);
    listenFan(f);
  }
}

const perPixel = f => (F.view[1] - F.view[0]) / Math.max(1, f.host.clientWidth - FAN.left - FAN.right);

function drawFans() {
  $('time').hidden = !horizonNow();
  if (!horizonNow()) return;
  const stride = horizonNow().stride;
  $('drawn').textContent = 'Each forecast stands at the time that it is for.' + (stride > 1 ? ` Of these one in ${stride} is drawn; all figures are over all of them.` : '')
    + (dated() ? ` Times are those of ${D.zone}.` : ' The file tells no dates: times count from its start.');
  fans.forEach(drawFan);
  placeFans();
  drawFanToolbar();
}

function drawFan(f) {
  const {chart} = f, height = chart.height;
  f.root.hidden = !!chart.empty?.();
  if (f.root.hidden) return;
  f.title.replaceChildren(chart.title(), el('small', {}, ' ' + chart.unit()));
  const {g, width} = surface(f.host, height, `${chart.title()}, ${stamp(F.view[0])} to ${stamp(F.view[1])}`);
  const box = {left: FAN.left, right: width - FAN.right, top: FAN.top, bottom: height - FAN.bottom};
  const p = {g, box, x: linear(F.view[0], F.view[1], box.left, box.right), pixel: perPixel(f)};
  const off = offset(F.view[0]), ticks = timeTicks(F.view[0] + off, F.view[1] + off, 76 * p.pixel);
  pen(g, css('line'), 1);
  for (const t of ticks.list.map(t => t - off)) {
    line(g, p.x(t), box.top, p.x(t), box.bottom + 4);
    text(g, tickText(t, ticks.fine), p.x(t), box.bottom + 13, 'center');
  }
  const labels = [];
  p.label = (...args) => labels.push(args);
  g.save();
  g.beginPath();
  g.rect(box.left, 0, box.right - box.left, height);
  g.clip();
  chart.draw(p);
  g.restore();
  for (const args of labels) text(g, ...args);
}

function placeFans() {
  for (const f of fans) {
    if (f.root.hidden) continue;
    const t = F.hover?.t, inside = t != null && t >= F.view[0] && t <= F.view[1], x = inside ? FAN.left + (t - F.view[0]) / perPixel(f) + 'px' : 0;
    f.cross.hidden = !inside;
    f.cross.style.left = x;
    f.stamp.hidden = !inside || F.hover.frame !== f;
    f.stamp.style.left = x;
    if (!f.stamp.hidden) f.stamp.textContent = stamp(t);
    f.legend.replaceChildren(...f.chart.legend(t).map(k => el('span', {class: 'key'}, k.mark, el('span', {}, k.name), k.value != null ? el('b', {}, k.value) : null)));
  }
}

// show makes a window of time the one that is shown, within the whole and no narrower than some forecasts.
function show(t0, t1) {
  const [from, to] = whole(), n = column(horizonNow().at).length;
  const least = Math.min(to - from, Math.max(1, 4 * (to - from) / Math.max(1, n - 1)));
  const wide = clamp(t1 - t0, least, to - from), start = clamp(t0 + (t1 - t0 - wide) / 2, from, to - wide);
  F.view = [start, start + wide];
  drawFans();
}
const zoomBy = (factor, t = (F.view[0] + F.view[1]) / 2) => show(t - (t - F.view[0]) * factor, t + (F.view[1] - t) * factor);
const moveBy = share => { const d = (F.view[1] - F.view[0]) * share; show(F.view[0] + d, F.view[1] + d); };
const showWhole = () => show(...whole());

// visit shows a window around an instant.
function visit(t) {
  const wide = Math.max(40 * horizonNow().seconds, (whole()[1] - whole()[0]) / 200);
  show(t - wide / 2, t + wide / 2);
  F.hover = {t, frame: fans[0]};
  placeFans();
  $('time').scrollIntoView({block: 'start'});
}

function listenFan(f) {
  let drag = null;
  const time = e => clamp(F.view[0] + (e.clientX - f.host.getBoundingClientRect().left - FAN.left) * perPixel(f), F.view[0], F.view[1]);
  f.host.addEventListener('pointerdown', e => {
    if (e.button !== 0) return;
    drag = {x: e.clientX, t: time(e)};
    f.host.setPointerCapture(e.pointerId);
  });
  f.host.addEventListener('pointermove', e => {
    F.hover = {t: time(e), frame: f};
    if (drag && Math.abs(e.clientX - drag.x) > 4) mark_(drag.t, F.hover.t);
    later(placeFans);
  });
  f.host.addEventListener('pointerup', e => {
    const was = drag, t = time(e);
    drag = null;
    mark_(null);
    if (was && Math.abs(e.clientX - was.x) > 4) show(Math.min(was.t, t), Math.max(was.t, t));
  });
  f.host.addEventListener('pointercancel', () => { drag = null; mark_(null); });
  f.host.addEventListener('pointerleave', () => { F.hover = null; later(placeFans); });
  f.host.addEventListener('dblclick', showWhole);
  f.host.addEventListener('wheel', e => {
    if (!(e.ctrlKey || e.metaKey || e.altKey)) return;
    e.preventDefault();
    zoomBy(e.deltaY > 0 ? 1.3 : 1 / 1.3, time(e));
  }, {passive: false});
}
// mark_ shows what a drag selects.
function mark_(a, b) {
  for (const f of fans) {
    f.sel.hidden = a == null;
    if (a == null) continue;
    const x = t => FAN.left + (t - F.view[0]) / perPixel(f);
    f.sel.style.left = Math.min(x(a), x(b)) + 'px';
    f.sel.style.width = Math.abs(x(a) - x(b)) + 'px';
  }
}

// later runs f once before the next frame.
const waiting = new Set();
function later(f) {
  if (waiting.has(f)) return;
  waiting.add(f);
  requestAnimationFrame(() => { waiting.delete(f); f(); });
}

function buildFanToolbar() {
  const pick = (id, label, change) => el('label', {}, label, ' ', el('select', {id, onchange: e => change(+e.target.value)}));
  const button = (sign, title, act) => el('button', {type: 'button', title, 'aria-label': title, onclick: act}, sign);
  $('toolbar').replaceChildren(
    ...(D.series.length > 1 ? [pick('pick-series', 'Series', chooseSeries)] : []),
    pick('pick-horizon', 'Horizon', chooseHorizon),
    el('span', {class: 'buttons'}, button('◀', 'earlier', () => moveBy(-0.5)), button('−', 'zoom out', () => zoomBy(2)), button('+', 'zoom in', () => zoomBy(0.5)),
      button('▶', 'later', () => moveBy(0.5)), button('all', 'show all', showWhole)),
    el('span', {id: 'window', class: 'soft'}));
}

function drawFanToolbar() {
  const option = (name, i, chosen) => el('option', {value: i, selected: i === chosen}, name);
  $('pick-series')?.replaceChildren(...D.series.map((s, i) => option(s.name, i, F.series)));
  $('pick-horizon').replaceChildren(...seriesNow().horizons.map((h, i) => option(span(h.seconds), i, F.horizon)));
  const all = F.view[1] - F.view[0] >= whole()[1] - whole()[0] - 1e-6;
  $('window').textContent = `${stamp(F.view[0])} – ${stamp(F.view[1])}` + (all ? '; drag to zoom' : '; double-click shows all');
}
