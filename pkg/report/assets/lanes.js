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
