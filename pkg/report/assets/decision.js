// Why the policy decided as it did: the pinned instant, and the log.

// decisionAt is the index of the decision in force at an instant, -1 before the first.
const decisionAt = (run, t) => last(decisionColumn(run, 't'), t + 1e-9);

// pin shows why the policy had decided as it had at an instant; null takes the pin away.
function pin(t) {
  S.pin = t;
  tell('pin');
}

// walk pins the next or previous decision.
function walk(by) {
  const run = chosen(), t = run && decisionColumn(run, 't');
  if (!t || !t.length) return;
  const now = S.pin == null ? (by > 0 ? -1 : t.length) : decisionAt(run, S.pin);
  const between = S.pin != null && now >= 0 && S.pin > t[now] + 1e-9;
  const next = clamp(between && by < 0 ? now : now + by, 0, t.length - 1);
  reveal(t[next]);
  pin(t[next]);
}

function drawWhy() {
  const run = chosen(), name = run ? nameOf(S.policy) : '';
  if (!run || S.pin == null) {
    $('why').className = 'empty';
    $('why').replaceChildren(el('h3', {}, 'Why?'), el('p', {class: 'soft'}, `Click a moment in a chart to see what ${name} decided there, and why.`),
      el('p', {class: 'soft keys'}, el('kbd', {}, '←'), ' ', el('kbd', {}, '→'), ' go from decision to decision, ', el('kbd', {}, '+'), ' ', el('kbd', {}, '−'), ' zoom, ', el('kbd', {}, '0'), ' shows all.'));
    return;
  }
  $('why').className = '';
  const i = decisionAt(run, S.pin);
  const nav = el('div', {class: 'nav'}, el('button', {type: 'button', 'aria-label': 'previous decision', onclick: () => walk(-1)}, '←'),
    el('button', {type: 'button', 'aria-label': 'next decision', onclick: () => walk(1)}, '→'),
    el('button', {type: 'button', 'aria-label': 'close', onclick: () => pin(null)}, '×'));
  const head = el('div', {class: 'head'}, el('h3', {}, `${name} at ${clock(S.pin, true)}`), nav);
  if (i < 0) $('why').replaceChildren(head, el('p', {}, 'It had not decided anything yet.'));
  else $('why').replaceChildren(head, ...explain(run, i));
}

const replicasOf = n => n + (n === 1 ? ' replica' : ' replicas');

// explain is a decision as elements.
function explain(run, i) {
  const c = name => decisionColumn(run, name)[i], reason = D.texts[c('reason')], age = S.pin - c('t');
  const from = c('from'), to = c('to'), meaning = D.reasons[reason];
  return [
    age >= 1 ? el('p', {class: 'soft small'}, `decided ${span(age)} before, at ${clock(c('t'), true)}`) : null,
    el('p', {class: 'outcome', 'data-decision': i}, el('b', {class: to > from ? 'up' : to < from ? 'down' : ''}, from === to ? `${replicasOf(to)}, as before` : `${from} → ${replicasOf(to)}`),
      ' ', el('span', {class: 'reason'}, reason)),
    meaning ? el('p', {class: 'meaning'}, meaning[0].toUpperCase() + meaning.slice(1) + '.') : null,
    c('blind') ? el('p', {class: 'doubt'}, 'Blind: it saw nothing fresh.') : null,
    known(c('needed')) ? el('p', {class: 'doubt'}, `Demand needs ${replicasOf(c('needed'))}; more than are allowed or there are GPUs for.`) : null,
    el('div', {class: 'grounds'}, stepsOf(run, i), figuresOf(run, i, c)),
    unseenOf(run, i),
  ].filter(Boolean);
}

function stepsOf(run, i) {
  const list = run.log.steps[i];
  if (!list.length) return el('p', {class: 'soft'}, 'It told no steps.');
  return el('ol', {class: 'steps'}, list.map(([stage, replicas, place, numbers]) =>
    el('li', {}, el('span', {class: 'stage'}, D.texts[stage]), replicas >= 0 ? el('span', {class: 'left', title: 'replicas after this step'}, String(replicas)) : null, el('p', {}, sentence(place, numbers)))));
}

function figuresOf(run, i, c) {
  const per = ' requests/s', rows = [];
  if (known(c('demand'))) rows.push(['demand seen', num(c('demand')) + per]);
  if (known(c('point'))) {
    const when = c('t') + c('horizon');
    rows.push(['forecast', `${num(c('point'))}${per}, ${num(100 * c('quantile'))} % quantile ${num(c('upper'))}`],
      ['for', `${clock(when, true)}, in ${span(c('horizon'))}${D.texts[c('model')] ? ', by ' + D.texts[c('model')] : ''}`], ['what came then', cameAt(run, when) + per]);
  }
  rows.push(...judgedOf(run, i));
  if (known(c('lead50'))) rows.push(['lead time', `p50 ${span(c('lead50'))}, p90 ${span(c('lead90'))}`]);
  if (known(c('capacity'))) rows.push(['one replica', `${num(c('capacity'))}${per}`]);
  rows.push(['replicas', `${c('ready')} ready, ${c('starting')} starting${c('unschedulable') ? `, ${c('unschedulable')} unschedulable` : ''}`],
    ['requests seen', `${num(c('waiting'))} waiting, ${num(c('running'))} running`]);
  return el('dl', {class: 'figures'}, rows.map(([k, v]) => el('div', {}, el('dt', {}, k), el('dd', {}, v))));
}

// judgedOf says how the forecasts had done until a decision, and what this one is mixed from.
function judgedOf(run, i) {
  const c = name => run.log.columns[name] == null ? null : decisionColumn(run, name)[i], rows = [], due = c('due');
  if (known(c('skill_days'))) {
    rows.push(['beside last value', `${besideLast(c('skill_hours'))} loss over hours, ${besideLast(c('skill_days'))} over days`],
      ['not exceeded', `${num(100 * c('coverage'))} % of ${num(due)} forecasts; bias ${num(100 * c('bias'))} %`]);
  } else if (known(due)) rows.push(['its skill', `not known: ${num(due)} came due`]);
  const weights = run.log.weights.length ? sentence(...run.log.weights[i]) : '';
  if (weights) rows.push(['mixed from', weights]);
  return rows;
}
const besideLast = x => `${num(Math.abs(100 * x))} % ${x < 0 ? 'more' : 'less'}`;

// cameAt is the rate of arrivals around an instant, over half a minute.
function cameAt(run, t) {
  const s = run.series, level = s.level(30), i = Math.floor(t / s.width(level));
  return t < run.end ? num(rateAt(s, level, i)) : '–';
}

function unseenOf(run, i) {
  const list = run.log.unseen[i];
  if (!list.length) return null;
  return el('div', {class: 'unseen'}, el('h4', {}, 'Not seen'), el('ul', {}, list.map(([place, numbers]) => el('li', {}, sentence(place, numbers)))));
}

// The log.

const LOG = {reason: '', changes: true, rows: 60};

function drawLog() {
  const run = chosen();
  $('log').hidden = !run || !run.log.steps.length;
  if ($('log').hidden) return;
  drawFilter(run);
  drawEntries(run);
}

function drawFilter(run) {
  const reasons = decisionColumn(run, 'reason'), counts = new Map();
  reasons.forEach(r => counts.set(r, (counts.get(r) || 0) + 1));
  if (LOG.reason !== '' && !counts.has(LOG.reason)) LOG.reason = '';
  const options = [...counts].sort((a, b) => b[1] - a[1]).map(([r, n]) => el('option', {value: r, selected: r === LOG.reason}, `${D.texts[r]} (${n})`));
  const set = change => { change(); LOG.rows = 60; drawEntries(run); };
  const kept = reasons.length, total = run.log.total;
  $('log-filter').replaceChildren(...[
    el('label', {}, 'Reason ', el('select', {id: 'reason', onchange: e => set(() => { LOG.reason = e.target.value === '' ? '' : +e.target.value; })}, el('option', {value: ''}, 'every'), options)),
    el('label', {}, el('input', {type: 'checkbox', id: 'changes', checked: LOG.changes, onchange: e => set(() => { LOG.changes = e.target.checked; })}), ' only changes of the replicas'),
    el('span', {class: 'soft', id: 'log-count'}), kept < total ? el('span', {class: 'soft'}, `${num(kept)} of ${total.toLocaleString('en-US')} decisions are kept here: routine ones were thinned out evenly.`) : null].filter(Boolean));
}

// entries are the indices of the decisions that the filter lets through.
function entries(run) {
  const c = name => decisionColumn(run, name), reason = c('reason'), from = c('from'), to = c('to');
  return reason.map((_, i) => i).filter(i => (LOG.reason === '' || reason[i] === LOG.reason) && (!LOG.changes || from[i] !== to[i]));
}

function drawEntries(run) {
  if (!run.log.steps.length) return;
  const list = entries(run), c = name => decisionColumn(run, name), t = c('t'), from = c('from'), to = c('to'), reason = c('reason');
  const now = S.pin == null ? -1 : decisionAt(run, S.pin);
  const row = i => el('tr', {class: i === now ? 'chosen' : '', 'data-decision': i, onclick: () => jump(t[i])},
    el('th', {scope: 'row', class: 'text'}, el('button', {type: 'button', class: 'link'}, clock(t[i], true))),
    el('td', {class: 'text ' + (to[i] > from[i] ? 'up' : to[i] < from[i] ? 'down' : '')}, from[i] === to[i] ? String(to[i]) : `${from[i]} → ${to[i]}`),
    el('td', {class: 'text'}, D.texts[reason[i]]), el('td', {class: 'text wide'}, gist(run, i)));
  const more = list.length > LOG.rows ? el('tr', {}, el('td', {colspan: 4, class: 'text'}, el('button', {type: 'button', onclick: () => { LOG.rows += 200; drawEntries(run); }}, `show more of ${list.length}`))) : null;
  $('log-count').textContent = `${list.length} ${list.length === 1 ? 'decision' : 'decisions'} of ${nameOf(S.policy)}`;
  $('log-table').replaceChildren(el('caption', {class: 'hidden'}, 'Decisions'),
    el('thead', {}, el('tr', {}, ['Time', 'Replicas', 'Reason', 'Because'].map(h => el('th', {scope: 'col', class: 'text'}, h)))),
    el('tbody', {}, list.slice(0, LOG.rows).map(row), more));
}
// gist is the last step that moved or kept the number, the one that decided.
function gist(run, i) {
  const s = [...run.log.steps[i]].reverse().find(s => s[1] >= 0);
  return s ? D.texts[s[0]] + ': ' + sentence(s[2], s[3]) : '';
}
function jump(t) {
  reveal(t);
  pin(t);
  $('time').scrollIntoView({block: 'start'});
}
