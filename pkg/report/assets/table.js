// Tables: the policies with their figures, sortable, and plain ones.

// marks say in words and signs whether a policy meets the SLO.
const MARKS = {met: ['✓', 'met'], missed: ['✗', 'missed'], unsure: ['≈', 'unsure']};
const DOUBT = 'the objective lies inside the 95 % confidence interval: other seeds may fall on either side';
const mark = (word, extra) => el('span', {class: 'mark ' + word, title: word === 'unsure' ? DOUBT : null}, el('span', {'aria-hidden': 'true'}, MARKS[word][0]), ' ' + (extra ?? MARKS[word][1]));

const ci = (f, name, write) => el('span', {class: 'ci'}, f[name + '_high'] > f[name + '_low'] ? `[${write(f[name + '_low'])}–${write(f[name + '_high'])}]` : '');
const share = x => (clamp(Math.floor(x * 1e4 + 1e-6) / 100, 0, 100)).toFixed(2);

// COLUMNS of the table: better says which direction is the good one, for the first click.
const COLUMNS = [
  {key: 'policy', name: 'Policy', value: r => r.policy, better: 1, text: true},
  {key: 'slo', name: 'SLO', value: r => ['met', 'unsure', 'missed'].indexOf(r.slo), better: 1, text: true, cell: r => mark(r.slo)},
  {key: 'attainment', name: 'attained', better: -1, cell: r => [percent(r.figures.attainment), r.seeds > 1 ? ci(r.figures, 'attainment', share) : null]},
  {key: 'gpu_hours', name: 'GPU-hours', better: 1, cell: r => [hoursText(r.figures.gpu_hours), r.seeds > 1 ? ci(r.figures, 'gpu_hours', hoursText) : null]},
  {key: 'ratio', name: '× oracle', better: 1, cell: r => fixed(r.figures.ratio, 2)},
  {key: 'cost', name: 'cost', better: 1, cell: r => D.currency + fixed(r.figures.cost, 2)},
  {key: 'gpu_hours_idle', name: 'idle', unit: 'GPU-h', title: 'GPU-hours of ready replicas without a request', better: 1, cell: r => hoursText(r.figures.gpu_hours_idle)},
  {key: 'gpu_hours_loading', name: 'loading', unit: 'GPU-h', title: 'GPU-hours of replicas that did not serve yet', better: 1, cell: r => hoursText(r.figures.gpu_hours_loading)},
  {key: 'ttft_p50_s', name: 'TTFT', unit: 'p50', better: 1, cell: r => latency(r.figures.ttft_p50_s)},
  {key: 'ttft_p99_s', name: 'TTFT', unit: 'p99', better: 1, cell: r => over(r.figures.ttft_p99_s, D.slo.ttft_s)},
  {key: 'tpot_p99_s', name: 'TPOT', unit: 'p99', better: 1, cell: r => over(r.figures.tpot_p99_s, D.slo.tpot_s)},
  {key: 'failed', name: 'failed', unit: 'out / rej / lost', title: 'requests that timed out / were rejected / were lost with their replica', better: 1,
    value: r => sum(failures(r).map(x => x ?? 0)), cell: r => sum(failures(r).map(x => x ?? 0)) ? failures(r).map(count).join(' / ') : '0'},
  {key: 'scale_events', name: 'scale', unit: 'events', better: 1, cell: r => count(r.figures.scale_events)},
  {key: 'flapping', name: 'flapping', unit: 'replicas', better: 1, cell: r => count(r.figures.flapping)},
  {key: 'cold_starts', name: 'cold', unit: 'starts', better: 1, cell: r => count(r.figures.cold_starts)},
  {key: 'blind_s', name: 'blind', better: 1, cell: r => r.figures.blind_s ? span(r.figures.blind_s) : '0'},
];
const failures = r => ['timed_out', 'rejected', 'lost'].map(k => r.figures[k]);
const count = x => known(x) ? (Number.isInteger(x) ? x.toLocaleString('en-US') : fixed(x, 1)) : '–';
// over points out what is beyond its objective.
const over = (x, bound) => bound && x > bound ? el('span', {class: 'over', title: 'beyond the objective of ' + seconds(bound)}, latency(x)) : latency(x);

const valueOf = (column, r) => column.value ? column.value(r) : r.figures[column.key];
let sorting = {key: null, way: 1};

// policiesNote says what a reader may do with the table, as far as there is one.
function policiesNote() {
  if (!D.results.length) return 'No run came to its end: there is nothing to compare.';
  return `Click a heading to sort${D.runs.length ? ', a policy to see it in the charts below' : ''}. GPU-hours count every GPU from the order of its replica until it is gone.`;
}

function drawPolicies() {
  $('policies-note').textContent = policiesNote();
  $('policies').hidden = !D.results.length;
  const rows = resultsNow(), shown = COLUMNS.filter(c => c.text || rows.some(r => known(valueOf(c, r))));
  sortRows(rows);
  const head = el('tr', {}, shown.map(heading));
  const body = rows.map(r => el('tr', {class: rowClass(r), 'data-policy': nameOf(r.policy)}, shown.map(c => cellOf(c, r))));
  $('policies').replaceChildren(
    el('caption', {class: 'hidden'}, 'Scores of each policy'), el('thead', {}, head), el('tbody', {}, body));
}

function sortRows(rows) {
  const column = COLUMNS.find(c => c.key === sorting.key);
  if (!column) return;
  const rank = r => { const v = valueOf(column, r); return known(v) ? v * sorting.way : Infinity; };
  if (column.key === 'policy') rows.sort((a, b) => sorting.way * nameOf(a.policy).localeCompare(nameOf(b.policy)));
  else rows.sort((a, b) => rank(a) - rank(b) || a.policy - b.policy);
}

function heading(c) {
  const active = sorting.key === c.key;
  const sort = () => {
    sorting = active ? {key: c.key, way: -sorting.way} : {key: c.key, way: c.better};
    drawPolicies();
    $('policies').querySelector(`[data-key="${c.key}"]`).focus();
  };
  const arrow = el('span', {class: 'arrow', 'aria-hidden': 'true'}, active ? (sorting.way > 0 ? '▲' : '▼') : '');
  return el('th', {scope: 'col', class: c.text ? 'text' : '', title: c.title, 'aria-sort': active ? (sorting.way > 0 ? 'ascending' : 'descending') : 'none'},
    el('button', {type: 'button', 'data-key': c.key, onclick: sort}, c.name, c.unit ? el('small', {}, c.unit) : null, arrow));
}

const rowClass = r => [r.policy === S.policy && runOf(r.policy) ? 'chosen' : '', nameOf(r.policy) === 'oracle' ? 'oracle' : '', nameOf(r.policy) === 'preheat' ? 'ours' : ''].join(' ').trim();

function cellOf(c, r) {
  if (c.key !== 'policy') return el('td', {class: c.text ? 'text' : ''}, c.cell(r));
  const name = nameOf(r.policy), title = D.policies[r.policy].title;
  const button = runOf(r.policy)
    ? el('button', {type: 'button', class: 'link', title: title || null, onclick: () => choose(r.policy)}, name) : el('span', {title: title || null}, name);
  return el('th', {scope: 'row', class: 'text'}, swatch(r.policy), button);
}

// choose shows a policy in the charts.
function choose(policy) {
  if (!runOf(policy) || policy === S.policy) return;
  S.policy = policy;
  if (S.other === policy) S.other = -1;
  tell('policy');
}

// plain fills a table from lists of texts; the first column heads its rows.
function plain(table, caption, head, rows) {
  table.replaceChildren(el('caption', {class: 'hidden'}, caption),
    el('thead', {}, el('tr', {}, head.map((h, i) => el('th', {scope: 'col', class: i ? '' : 'text'}, h)))),
    el('tbody', {}, rows.map(r => el('tr', {}, r.map((c, i) => el(i ? 'td' : 'th', i ? {} : {scope: 'row', class: 'text'}, c))))));
}
