// The page comes alive.

function drawVerdict() {
  const under = D.leads.length > 1 ? `At a lead time of ${span(D.leads[S.lead].seconds)}: ` : '';
  const said = D.leads.length ? under + D.leads[S.lead].verdict : 'Nothing was replayed.';
  $('verdict').textContent = said.replace(/ (%|×|GPU)/g, '\u00a0$1').replaceAll('GPU-h', 'GPU\u2011h'); // numbers stay with their units
}

function buildLeads() {
  $('leads').hidden = D.leads.length < 2;
  $('leads').replaceChildren(el('span', {}, 'Lead time'), ...D.leads.map((l, i) => el('label', {},
    el('input', {type: 'radio', name: 'lead', value: i, checked: i === S.lead, onchange: () => chooseLead(i)}), ' ' + span(l.seconds))));
}

// chooseLead shows another lead time, in the tables and in the charts.
function chooseLead(i) {
  S.lead = i;
  for (const input of $('leads').querySelectorAll('input')) input.checked = +input.value === i;
  settle();
  tell('lead', 'policy');
}

// leadsWithRuns are the lead times at which there are curves.
const leadsWithRuns = () => D.leads.map((_, i) => i).filter(i => D.runs.some(r => r.lead === i));

// settle chooses a policy that has curves at the present lead time, and one to compare it with.
function settle() {
  const there = runsNow().map(r => r.policy);
  if (!there.includes(S.policy)) S.policy = there.includes(policyNamed('preheat')) ? policyNamed('preheat') : there[0] ?? 0;
  if (!there.includes(S.other) || S.other === S.policy) S.other = there.includes(policyNamed('oracle')) && policyNamed('oracle') !== S.policy ? policyNamed('oracle') : -1;
  S.view = [0, longest()];
  $('time').hidden = !there.length;
  const elsewhere = leadsWithRuns().map(i => span(D.leads[i].seconds));
  $('elsewhere').hidden = there.length > 0 || !elsewhere.length;
  $('elsewhere').textContent = `What happened over time was kept at a lead time of ${elsewhere.join(', ')}: choose it above to see the curves and decisions.`;
  const seeds = Math.max(...resultsNow().map(r => r.seeds), 1);
  $('seeds').hidden = seeds < 2;
  $('seeds').textContent = `The curves are of the first of ${seeds} seeds; the table has the means of all.`;
}

listeners.push(what => {
  const all = what.has('theme') || what.has('lead');
  if (all) { drawVerdict(); drawFrontier(); drawSweep(); }
  if (all || what.has('policy')) { drawPolicies(); drawLog(); drawZero(); }
  if (all || what.has('policy') || what.has('view')) { drawCharts(); drawNumbers(); }
  if (all || what.has('policy') || what.has('pin')) drawWhy();
  if (what.has('pin')) {
    place();
    if (chosen()) drawEntries(chosen());
  }
});

document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || !chosen()) return;
  const act = {ArrowLeft: () => walk(-1), ArrowRight: () => walk(1), '+': () => scale(0.5), '=': () => scale(0.5), '-': () => scale(2), 0: showAll, Escape: () => pin(null)}[e.key];
  if (!act) return;
  act();
  e.preventDefault();
});

const dark = window.matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? 'dark' : 'light')) === 'dark';
function themed() {
  themeColours = new Map();
  $('theme').textContent = isDark() ? 'light' : 'dark';
  $('theme').setAttribute('aria-label', 'switch to ' + (isDark() ? 'light' : 'dark'));
  tell('theme');
}
$('theme').addEventListener('click', () => {
  document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
  themed();
});
dark.addEventListener('change', themed);
$('numbers').addEventListener('toggle', drawNumbers);
let wide = window.innerWidth;
window.addEventListener('resize', () => {
  if (window.innerWidth === wide) return;
  wide = window.innerWidth;
  later(resized);
});
function resized() { drawFrontier(); drawSweep(); drawCharts(); }

S.lead = leadsWithRuns()[0] ?? 0;
S.policy = Math.max(0, policyNamed('preheat'));
$('glossary').append(...D.policies.filter(p => p.title).flatMap(p => [el('dt', {}, p.name), el('dd', {}, p.title)]));
buildLeads();
buildToolbar();
buildCharts();
settle();
listenFrontier();
themed();
document.documentElement.dataset.ready = 'true';
