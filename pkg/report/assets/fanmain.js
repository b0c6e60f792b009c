// The page of a forecast comes alive.

function drawAll() {
  drawForecastVerdict();
  drawSeries();
  drawScores();
  drawFans();
  drawMisses();
}

// chooseSeries shows a series, at the same horizon where it has that.
function chooseSeries(i) {
  const seconds = horizonNow()?.seconds;
  F.series = i;
  F.horizon = Math.max(0, seriesNow().horizons.findIndex(h => h.seconds === seconds));
  F.view = whole();
  F.hover = null;
  drawAll();
}

// chooseHorizon shows another horizon of the same window of time.
function chooseHorizon(i) {
  const all = F.view[1] - F.view[0] >= whole()[1] - whole()[0] - 1e-6;
  F.horizon = i;
  if (all) F.view = whole();
  else show(...F.view);
  drawAll();
}

document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || !horizonNow()) return;
  const act = {ArrowLeft: () => moveBy(-0.25), ArrowRight: () => moveBy(0.25), '+': () => zoomBy(0.5), '=': () => zoomBy(0.5), '-': () => zoomBy(2), 0: showWhole}[e.key];
  if (!act) return;
  act();
  e.preventDefault();
});

const darkScheme = window.matchMedia('(prefers-color-scheme: dark)');
const darkNow = () => (document.documentElement.dataset.theme || (darkScheme.matches ? 'dark' : 'light')) === 'dark';
function dressed() {
  themeColours = new Map();
  $('theme').textContent = darkNow() ? 'light' : 'dark';
  $('theme').setAttribute('aria-label', 'switch to ' + (darkNow() ? 'light' : 'dark'));
  drawAll();
}
$('theme').addEventListener('click', () => {
  document.documentElement.dataset.theme = darkNow() ? 'light' : 'dark';
  dressed();
});
darkScheme.addEventListener('change', dressed);
let wideNow = window.innerWidth;
window.addEventListener('resize', () => {
  if (window.innerWidth === wideNow) return;
  wideNow = window.innerWidth;
  later(drawFans);
});

F.series = Math.max(0, D.series.findIndex(s => s.horizons.length));
F.horizon = seriesNow()?.horizons.length ? Math.min(seriesNow().horizons.length - 1, 1) : 0;
F.view = whole();
buildFans();
if (D.series.length) buildFanToolbar();
dressed();
document.documentElement.dataset.ready = 'true';
