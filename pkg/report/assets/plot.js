// Drawing: a canvas with scales and axes, and marks that tell policies apart by colour, dash and shape.

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

// surface makes a canvas fill its host's width at a height, sharp on any screen, and returns what to draw with.
function surface(host, height, label) {
  let canvas = host.querySelector('canvas');
  if (!canvas) host.append(canvas = el('canvas', {role: 'img'}));
  canvas.setAttribute('aria-label', label);
  const width = Math.max(240, host.clientWidth), ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = height + 'px';
  const g = canvas.getContext('2d');
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = FONT;
  g.lineJoin = 'round';
  return {g, width, height, canvas};
}

// linear and log map values to pixels; both clamp what lies outside.
function linear(v0, v1, p0, p1) {
  const k = (p1 - p0) / ((v1 - v0) || 1);
  const f = v => p0 + (v - v0) * k;
  f.invert = p => v0 + (p - p0) / k;
  return f;
}
function log(v0, v1, p0, p1) {
  const in_ = linear(Math.log(v0), Math.log(v1), p0, p1);
  return v => in_(Math.log(Math.max(v, v0 / 10)));
}

// roundTicks are about n round numbers from lo to hi.
function roundTicks(lo, hi, n) {
  const raw = (hi - lo) / Math.max(1, n), mag = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 5, 10].map(m => m * mag).find(s => s >= raw * 0.999) || 1;
  const out = [];
  for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9 && out.length < 100; i++) out.push(+(i * step).toPrecision(12));
  return out;
}
// logTicks are powers of ten, with round numbers between where there is room.
function logTicks(lo, hi) {
  const out = [], decades = Math.log10(hi / lo), of = decades > 2.2 ? [1] : decades > 0.9 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  for (let e = Math.floor(Math.log10(lo)); e <= Math.ceil(Math.log10(hi)); e++)
    for (const m of of) {
      const v = +(m * 10 ** e).toPrecision(3);
      if (v >= lo * 0.999 && v <= hi * 1.001) out.push(v);
    }
  return out;
}
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
// timeTicks are round instants at least gap seconds apart.
function timeTicks(t0, t1, gap) {
  const step = STEPS.find(s => s >= gap) || Math.ceil(gap / 604800) * 604800;
  const out = [];
  for (let t = Math.ceil(t0 / step) * step; t <= t1 && out.length < 200; t += step) out.push(t);
  return {list: out, fine: step < 60};
}

function line(g, x0, y0, x1, y1) {
  g.beginPath();
  g.moveTo(x0, y0);
  g.lineTo(x1, y1);
  g.stroke();
}
function pen(g, colour, width, dash) {
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.setLineDash(dash || []);
}
function text(g, s, x, y, align, colour, baseline) {
  g.fillStyle = colour || css('soft');
  g.textAlign = align || 'left';
  g.textBaseline = baseline || 'middle';
  g.fillText(s, x, y);
}
// fit shortens a text to a width.
function fit(g, s, width) {
  if (g.measureText(s).width <= width) return s;
  while (s.length > 1 && g.measureText(s + '…').width > width) s = s.slice(0, -1);
  return s + '…';
}

// path draws points [x, y], in pieces where y is null.
function path(g, points) {
  g.beginPath();
  let on = false;
  for (const [x, y] of points) {
    if (y == null) { on = false; continue; }
    if (on) g.lineTo(x, y); else g.moveTo(x, y);
    on = true;
  }
  g.stroke();
}

// SHAPES draw a point of a policy around the origin with radius r.
const SHAPES = [
  (g, r) => g.arc(0, 0, r, 0, 7),
  (g, r) => g.rect(-r * 0.9, -r * 0.9, r * 1.8, r * 1.8),
  (g, r) => polygon(g, r * 1.25, 3, -90),
  (g, r) => polygon(g, r * 1.25, 4, 0),
  (g, r) => polygon(g, r * 1.25, 3, 90),
  (g, r) => star(g, r * 1.6),
];
function polygon(g, r, n, turn) {
  for (let i = 0; i < n; i++) {
    const a = (turn + i * 360 / n) * Math.PI / 180;
    g.lineTo(r * Math.cos(a), r * Math.sin(a));
  }
  g.closePath();
}
function star(g, r) {
  for (let i = 0; i < 10; i++) {
    const a = (-90 + i * 36) * Math.PI / 180, s = i % 2 ? r * 0.45 : r;
    g.lineTo(s * Math.cos(a), s * Math.sin(a));
  }
  g.closePath();
}
// point draws the mark of a policy; those with a dash are hollow.
function point(g, policy, x, y, r) {
  const style = D.policies[policy].style;
  g.save();
  g.translate(x, y);
  g.setLineDash([]);
  g.beginPath();
  SHAPES[style.shape](g, r);
  g.fillStyle = style.dash ? css('page') : colourOf(policy);
  g.fill();
  g.lineWidth = style.dash ? 2 : 1;
  g.strokeStyle = style.dash ? colourOf(policy) : css('page');
  g.stroke();
  g.restore();
}

// swatch is a policy's mark as an element: its line with its point on it.
function swatch(policy) {
  const canvas = el('canvas', {class: 'swatch', width: 56, height: 28, 'aria-hidden': 'true'});
  const g = canvas.getContext('2d');
  g.scale(2, 2);
  pen(g, colourOf(policy), 2, dashOf(policy));
  line(g, 0, 7, 28, 7);
  point(g, policy, 14, 7, 4);
  return canvas;
}

// spread moves labels apart: each is {y}, sorted and pushed to be gap pixels from the next between top and bottom.
function spread(labels, gap, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((l, i) => { l.at = Math.max(l.y, i ? labels[i - 1].at + gap : top); });
  for (let i = labels.length - 1, limit = bottom; i >= 0; i--) {
    labels[i].at = Math.min(labels[i].at, limit);
    limit = labels[i].at - gap;
  }
}

// attainmentScale shows the share of requests met as misses on a logarithmic scale, so that 99 and 99.9 % are as far
// apart as 90 and 99 %; all met is the top.
function attainmentScale(lowest, p0, p1) {
  const least = clamp(0.5 / Math.max(1, D.requests), Math.min(2e-4, (1 - D.slo.attainment) / 40 || 1e-5), 1e-3);
  const depth = a => -Math.log10(clamp(1 - a, 0, 1) + least);
  const to = linear(depth(lowest), depth(1), p0, p1);
  const f = a => to(Math.max(depth(a), depth(lowest)));
  f.ticks = thin([0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1].filter(a => a >= lowest - 1e-9), f, 16);
  return f;
}
// thin leaves out ticks that are closer than gap pixels to the one before, keeping the last.
function thin(ticks, at, gap) {
  const out = [];
  for (const t of [...ticks].reverse()) if (!out.length || Math.abs(at(t) - at(out[out.length - 1])) >= gap) out.push(t);
  return out.reverse();
}
const shareLabel = a => a === 1 ? 'all' : +(a * 100).toPrecision(6) + ' %';
// lowestShare is where an axis of attainment begins.
function lowestShare(shares) {
  const worst = Math.min(1, ...shares.filter(known));
  return [0.999, 0.99, 0.95, 0.9, 0.75, 0.5].find(a => a < worst - 1e-9 && a < D.slo.attainment) ?? 0;
}
