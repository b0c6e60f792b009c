// The window of time that all charts share: zooming, the line under the pointer, the pinned instant.

const LEFT = 92, RIGHT = 12, TOP = 8, BOTTOM = 22;
const frames = new Map();
let hover = null;

// longest is the end of the longest run at the present lead time.
const longest = () => Math.max(1, D.length, ...runsNow().map(r => r.end));

function buildCharts() {
  const host = $('charts');
  host.replaceChildren();
  for (const chart of CHARTS) {
    const f = {chart, title: el('h3'), legend: el('div', {class: 'legend'}), host: el('div', {class: 'canvas'}),
      cross: el('div', {class: 'cross', hidden: true}), pin: el('div', {class: 'pin', hidden: true}), sel: el('div', {class: 'sel', hidden: true}), stamp: el('div', {class: 'stamp', hidden: true})};
    f.host.append(f.cross, f.pin, f.sel, f.stamp);
    f.root = el('figure', {id: 'chart-' + chart.id}, el('figcaption', {}, f.title, chart === cost ? beyondSwitch() : null, f.legend), f.host);
    host.append(f.root);
    frames.set(chart.id, f);
    listen(f);
  }
}

function beyondSwitch() {
  const button = (beyond, name) => el('button', {type: 'button', class: 'quiet', 'data-beyond': beyond, 'aria-pressed': String(S.beyond === beyond), onclick: () => {
    S.beyond = beyond;
    for (const b of $('beyond').children) b.setAttribute('aria-pressed', b.dataset.beyond === String(beyond));
    drawCharts();
  }}, name);
  return el('span', {id: 'beyond', class: 'switch'}, button(false, 'all'), button(true, 'beyond the oracle'));
}

const pixelOf = f => (S.view[1] - S.view[0]) / Math.max(1, f.host.clientWidth - LEFT - RIGHT);

function drawCharts() {
  if (!chosen()) return;
  $('beyond').hidden = !oracleRun();
  frames.forEach(drawFrame);
  place();
  drawToolbar();
}

function drawFrame(f) {
  const {chart} = f, height = chart.height;
  f.root.hidden = Boolean(chart.shown && !chart.shown());
  if (f.root.hidden) return;
  f.title.replaceChildren(chart.title, chart.unit ? el('small', {}, ' ' + chart.unit) : '');
  const {g, width} = surface(f.host, height, `${chart.title}, ${nameOf(S.policy)}, ${clock(S.view[0])} to ${clock(S.view[1])}`);
  const box = {left: LEFT, right: width - RIGHT, top: TOP, bottom: height - BOTTOM};
  const p = {g, box, x: linear(S.view[0], S.view[1], box.left, box.right), pixel: pixelOf(f)};
  const ticks = timeTicks(S.view[0], S.view[1], 70 * p.pixel);
  pen(g, css('line'), 1);
  for (const t of ticks.list) {
    line(g, p.x(t), box.top, p.x(t), box.bottom + 4);
    const s = clock(t, ticks.fine), half = g.measureText(s).width / 2;
    text(g, s, clamp(p.x(t), half, width - half), box.bottom + 13, 'center');
  }
  // Curves are clipped to the plot, the labels of axes stand beside it.
  const labels = [];
  p.label = (...args) => labels.push([g.font, args]);
  g.save();
  g.beginPath();
  g.rect(box.left, 0, box.right - box.left, height);
  g.clip();
  chart.draw(p);
  g.restore();
  for (const [font, args] of labels) {
    g.font = font;
    text(g, ...args);
  }
}

// place puts the lines of the pointer and the pin, and the legends' values.
function place() {
  if (!chosen()) return;
  const t = hover ? hover.t : S.pin;
  for (const f of frames.values()) {
    const x = s => LEFT + (s - S.view[0]) / pixelOf(f);
    const show = (node, s) => {
      node.hidden = s == null || s < S.view[0] || s > S.view[1];
      if (!node.hidden) node.style.left = x(s) + 'px';
    };
    show(f.cross, hover && hover.t);
    show(f.pin, S.pin);
    show(f.stamp, hover && hover.frame === f ? hover.t : null);
    if (!f.stamp.hidden) f.stamp.textContent = clock(hover.t, true);
    if (!f.root.hidden) legend(f, t);
  }
}

function legend(f, t) {
  const keys = f.chart.legend(t, pixelOf(f));
  f.legend.replaceChildren(...keys.map(k => {
    const parts = [k.mark, el('span', {}, k.name), k.value != null ? el('b', {}, k.value) : null];
    return k.policy == null ? el('span', {class: 'key'}, parts)
      : el('button', {type: 'button', class: 'key' + (k.policy === S.policy ? ' chosen' : ''), onclick: () => choose(k.policy)}, parts);
  }));
}

// zoom shows from t0 to t1, kept within the run and at least a few bins wide.
function zoom(t0, t1) {
  const end = longest(), least = Math.min(end, Math.max(4, 4 * (chosen() ? chosen().width : 1)));
  const wide = clamp(t1 - t0, least, end), from = clamp(t0 + (t1 - t0 - wide) / 2, 0, end - wide);
  S.view = [from, from + wide];
  tell('view');
}
// scale zooms by a factor around an instant, the pinned one or the middle.
function scale(factor, around) {
  const [t0, t1] = S.view, inside = S.pin != null && S.pin > t0 && S.pin < t1;
  const t = around ?? (inside ? S.pin : (t0 + t1) / 2);
  zoom(t - (t - t0) * factor, t + (t1 - t) * factor);
}
const pan = share => { const d = (S.view[1] - S.view[0]) * share; zoom(S.view[0] + d, S.view[1] + d); };
const showAll = () => zoom(0, longest());

// reveal moves the window so that an instant is inside.
function reveal(t) {
  const [t0, t1] = S.view, wide = t1 - t0;
  if (t < t0 || t > t1) zoom(t - wide / 2, t + wide / 2);
}

// listen makes a chart react: dragging zooms, a click pins, two clicks show all, the wheel with Ctrl zooms too.
function listen(f) {
  let drag = null;
  const time = e => {
    const r = f.host.getBoundingClientRect();
    return clamp(S.view[0] + (e.clientX - r.left - LEFT) * pixelOf(f), S.view[0], S.view[1]);
  };
  const y = e => e.clientY - f.host.getBoundingClientRect().top;
  f.host.addEventListener('pointerdown', e => {
    if (e.button !== 0) return;
    const inLabels = e.clientX - f.host.getBoundingClientRect().left < LEFT;
    drag = {x: e.clientX, t: time(e), inLabels};
    f.host.setPointerCapture(e.pointerId);
  });
  f.host.addEventListener('pointermove', e => {
    hover = {t: time(e), frame: f};
    if (drag && Math.abs(e.clientX - drag.x) > 4) select(drag.t, hover.t);
    later(place);
  });
  f.host.addEventListener('pointerup', e => {
    if (!drag) return;
    const was = drag, moved = Math.abs(e.clientX - was.x) > 4, t = time(e);
    drag = null;
    select(null);
    if (moved) zoom(Math.min(was.t, t), Math.max(was.t, t));
    else if (was.inLabels && f.chart.click) f.chart.click(y(e));
    else pin(t);
  });
  f.host.addEventListener('pointercancel', () => { drag = null; select(null); });
  f.host.addEventListener('pointerleave', () => { hover = null; later(place); });
  f.host.addEventListener('dblclick', showAll);
  f.host.addEventListener('wheel', e => {
    if (!(e.ctrlKey || e.metaKey || e.altKey)) return;
    e.preventDefault();
    scale(e.deltaY > 0 ? 1.3 : 1 / 1.3, time(e));
  }, {passive: false});
}

function select(a, b) {
  for (const f of frames.values()) {
    f.sel.hidden = a == null;
    if (a == null) continue;
    const x = t => LEFT + (t - S.view[0]) / pixelOf(f);
    f.sel.style.left = Math.min(x(a), x(b)) + 'px';
    f.sel.style.width = Math.abs(x(a) - x(b)) + 'px';
  }
}

// later runs f once before the next frame.
const pending = new Set();
function later(f) {
  if (pending.has(f)) return;
  pending.add(f);
  requestAnimationFrame(() => { pending.delete(f); f(); });
}

function buildToolbar() {
  const pick = (id, label, change) => el('label', {}, label, ' ', el('select', {id, onchange: e => change(+e.target.value)}));
  const button = (sign, title, act) => el('button', {type: 'button', title, 'aria-label': title, onclick: act}, sign);
  $('toolbar').replaceChildren(
    ...(leadsWithRuns().length > 1 ? [pick('lead', 'Lead time', chooseLead)] : []),
    pick('policy', 'Policy', i => choose(i)),
    pick('other', 'beside', i => { S.other = i; tell('policy'); }),
    el('span', {class: 'buttons'}, button('◀', 'earlier', () => pan(-0.5)), button('−', 'zoom out', () => scale(2)), button('+', 'zoom in', () => scale(0.5)),
      button('▶', 'later', () => pan(0.5)), button('all', 'show the whole trace', showAll)),
    el('span', {id: 'window', class: 'soft'}));
}

function drawToolbar() {
  const option = (i, chosen) => el('option', {value: i, selected: i === chosen}, i < 0 ? 'no other' : nameOf(i));
  $('lead')?.replaceChildren(...leadsWithRuns().map(i => el('option', {value: i, selected: i === S.lead}, span(D.leads[i].seconds))));
  const there = runsNow().map(r => r.policy);
  $('policy').replaceChildren(...there.map(i => option(i, S.policy)));
  $('other').replaceChildren(...[-1, ...there.filter(i => i !== S.policy)].map(i => option(i, S.other)));
  const whole = S.view[1] - S.view[0] >= longest() - 1e-6;
  $('window').textContent = (whole ? 'all of ' + span(longest()) : `${clock(S.view[0], true)} – ${clock(S.view[1], true)}`) + (whole ? '; drag to zoom, click to see why' : '; double-click shows all');
}

const hundredths = x => known(x) ? num(Math.round(x * 100) / 100) : '–';

// The charts in numbers: the window in some dozens of rows.
function drawNumbers() {
  const run = chosen();
  if (!run || !$('numbers').open) return;
  const s = run.series, level = s.level((S.view[1] - S.view[0]) / 30), w = s.width(level), rows = [];
  const value = (name, i, write) => (write || num)(s.column(name, level)[i]);
  for (let i = Math.floor(S.view[0] / w); i < Math.min(s.count(level), Math.ceil(S.view[1] / w)); i++)
    rows.push([clock(i * w, w < 60), num(rateAt(s, level, i)), value('point', i), value('upper', i), ...['ready', 'starting', 'draining', 'unschedulable', 'desired', 'waiting'].map(n => value(n, i, hundredths)),
       value('ttft50', i, seconds), value('ttft99', i, seconds), value('missed', i)]);
  plain($('numbers').querySelector('table'), `${nameOf(S.policy)} over time`,
    ['from', 'requests/s', 'forecast', 'upper', 'ready', 'starting', 'draining', 'unschedulable', 'asked for', 'waiting', 'TTFT p50', 'TTFT p99', 'missed'], rows);
}
