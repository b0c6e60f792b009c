// The page of a forecast: what is shown, how its times are written, and its tables.

// F is what is shown: a series, a horizon, a window of time and the pointer's instant.
const F = {series: 0, horizon: 0, view: [0, 1], hover: null};
const column = i => D.columns[i];
const seriesNow = () => D.series[F.series];
const horizonNow = () => seriesNow()?.horizons[F.horizon];
const quantileName = q => 'q' + q;
const UPPER = () => D.quantiles[D.upper];

// Times are those of the zone; of series without dates they count from the start.
const dated = () => (known(whole()[0]) ? whole()[0] : 0) > 20 * 365 * 86400;
const parts = new Intl.DateTimeFormat('en-GB', {timeZone: D.zone, year: 'numeric', month: 'short', day: '2-digit', weekday: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'});
function zoned(t) {
  return Object.fromEntries(parts.formatToParts(new Date(t * 1000)).map(p => [p.type, p.value]));
}
// offset is what the zone's clock shows beyond UTC, in seconds.
function offset(t) {
  if (!dated()) return 0;
  const p = zoned(t), month = new Date(p.month + ' 1 2000 UTC').getUTCMonth();
  return Date.UTC(+p.year, month, +p.day, +p.hour, +p.minute, +p.second) / 1000 - Math.floor(t);
}
// stamp writes an instant in full.
function stamp(t) {
  if (!dated()) return since(t, true);
  const p = zoned(t);
  return `${p.weekday} ${+p.day} ${p.month} ${p.year} ${p.hour}:${p.minute}` + (p.second === '00' ? '' : ':' + p.second);
}
function since(t, fine) {
  const two = n => String(n).padStart(2, '0'), s = Math.round(t), day = Math.floor(s / 86400), rest = s - day * 86400;
  return (whole()[1] >= 2 * 86400 ? `d${day + 1} ` : '') + `${Math.floor(rest / 3600)}:${two(Math.floor(rest / 60) % 60)}` + (fine && rest % 60 ? ':' + two(rest % 60) : '');
}
// tickText writes a round instant on an axis: the day at midnight, the time at others.
function tickText(t, fine) {
  if (!dated()) return since(t, fine);
  const p = zoned(t);
  return p.hour === '00' && p.minute === '00' && p.second === '00' ? `${+p.day} ${p.month}` : `${p.hour}:${p.minute}` + (fine ? ':' + p.second : '');
}

// whole is the time that the forecasts of the horizon are for.
function whole() {
  const at = horizonNow() ? column(horizonNow().at) : [];
  return at.length ? [at[0], Math.max(at[at.length - 1], at[0] + 1)] : [0, 1];
}

const ratioText = x => known(x) ? fixed(x, 2) : '–';
const shareText = x => known(x) ? fixed(x * 100, 1) + ' %' : '–';
// lossCell points out a loss that is clearly below or above that of the last value.
const lossCell = x => el('td', {class: !known(x) ? '' : x < 0.98 ? 'won' : x > 1.02 ? 'lost' : ''}, ratioText(x));
// coverCell points out a share that is more than so many points beside its quantile.
const coverCell = (x, q) => el('td', {class: known(x) && Math.abs(x - q) > 0.025 ? 'off' : ''}, shareText(x));

// rows fills a table whose rows are clicked on and have a heading of text.
function fill(table, caption, head, body) {
  table.replaceChildren(el('caption', {class: 'hidden'}, caption),
    el('thead', {}, el('tr', {}, head.map((h, i) => el('th', {scope: 'col', class: i ? '' : 'text'}, h)))), el('tbody', {}, body));
}
const headed = (text, act, chosen, cells) => el('tr', {class: chosen ? 'chosen' : '', onclick: act},
  el('th', {scope: 'row', class: 'text'}, el('button', {type: 'button', class: 'link'}, text)), cells);

// pooled is the share of all forecasts of a series that were not above a quantile.
function pooled(s, k) {
  const scored = s.horizons.filter(h => h.forecasts);
  return sum(scored.map(h => h.coverage[k] * h.forecasts)) / sum(scored.map(h => h.forecasts));
}

function drawSeries() {
  $('all').hidden = D.series.length < 2;
  fill($('series'), 'All series', ['series', ...D.rules, ...D.quantiles.map(q => 'below ' + q), 'withdrawn'], D.series.map((s, i) => headed(s.name, () => chooseSeries(i), i === F.series, [
    ...D.rules.map(r => lossCell(s.loss[r])), ...D.quantiles.map((q, k) => coverCell(pooled(s, k), q)),
    el('td', {}, shareText(sum(s.horizons.map(h => h.withdrawn)) / sum(s.horizons.map(h => h.forecasts)))),
  ])));
}

function drawScores() {
  const s = seriesNow();
  $('scores').hidden = !s?.horizons.length;
  if ($('scores').hidden) return;
  const over = D.tail.length === D.quantiles.length ? 'all quantiles' : D.tail.join(' and ');
  $('scores-note').textContent = `${s.about}. Loss at ${over} as a multiple of the last value's; how often demand was at most each quantile; in how many forecasts the last value stood in.`;
  fill($('horizons'), 'Scores by horizon', ['horizon', 'forecasts', ...D.rules, ...D.quantiles.map(q => 'below ' + q), 'withdrawn'], s.horizons.map((h, i) => headed(span(h.seconds), () => chooseHorizon(i), i === F.horizon, [
    el('td', {}, h.forecasts.toLocaleString('en-US')), ...D.rules.map(r => lossCell(h.loss[r])), ...D.quantiles.map((q, k) => coverCell(h.coverage[k], q)), el('td', {}, shareText(h.withdrawn / h.forecasts)),
  ])));
}

function drawMisses() {
  const h = horizonNow();
  $('missed').hidden = !h;
  if (!h) return;
  $('missed-note').textContent = h.misses.length
    ? `Demand furthest above the ${UPPER()} quantile forecast ${span(h.seconds)} ahead, one for each time that forecasts missed together. Click to see one in the charts.`
    : `Demand never exceeded the ${UPPER()} quantile forecast ${span(h.seconds)} ahead.`;
  fill($('misses'), 'The worst misses', ['when', 'forecast at', 'demand', UPPER() + ' quantile', 'above it by', 'in percent', D.quantiles[0] + ' quantile'], h.misses.map(m => headed(stamp(m.at), () => visit(m.at), false, [
    el('td', {}, stamp(m.origin)), el('td', {}, num(m.actual)), el('td', {}, num(m.upper)), el('td', {}, num(m.actual - m.upper)), el('td', {}, m.upper > 0 ? num(100 * (m.actual / m.upper - 1)) + ' %' : '–'), el('td', {}, num(m.lowest)),
  ])));
  $('misses').hidden = !h.misses.length;
}

function drawForecastVerdict() {
  const s = seriesNow();
  const said = !s ? 'No series was forecast.' : (D.series.length > 1 ? s.name + ': ' : '') + s.verdict;
  $('verdict').textContent = said[0].toUpperCase() === said[0] || D.series.length > 1 ? said : said[0].toUpperCase() + said.slice(1);
}
