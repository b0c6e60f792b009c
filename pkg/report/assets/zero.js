// What it was worth to be without a replica, and by what it was weighed.

// ZERO are the columns of the table.
const ZERO = [
  ['at zero', f => span(f.zero_s)], ['saved', f => hoursText(f.zero_gpu_hours_saved) + ' GPU-h'],
  ['wakes', f => count(f.zero_wakes)], ['foreseen', f => count(f.zero_foreseen)], ['needless', f => count(f.zero_needless)],
  ['waited', f => count(f.zero_requests)], ['wait p50', f => latency(f.zero_wait_p50_s)], ['p99', f => latency(f.zero_wait_p99_s)], ['longest', f => latency(f.zero_wait_max_s)],
  ['paid', f => weighs(f) ? count(f.zero_paid) : '–'], ['refused', f => weighs(f) ? count(f.zero_refused) : '–'],
];
const weighs = f => f.zero_paid + f.zero_refused > 0;

function drawZero() {
  const rows = resultsNow().filter(r => known(r.figures.zero_s));
  $('zero').hidden = !rows.length;
  if (!rows.length) return;
  plain($('zero-table'), 'Without a replica', ['Policy', ...ZERO.map(c => c[0])],
    rows.map(r => [[swatch(r.policy), nameOf(r.policy)], ...ZERO.map(c => c[1](r.figures))]));
  drawBreakEven();
}

// mostWeighed is how many verdicts of a break-even are shown.
const mostWeighed = 12;

// weighings are the decisions at which the verdict on the last replica was another than before, the newest ones first.
function weighings(run) {
  if (run.log.columns.quiet == null) return [];
  const pays = decisionColumn(run, 'pays');
  return pays.map((_, i) => i).filter(i => known(pays[i]) && pays[i] !== pays[i - 1]).reverse();
}

function drawBreakEven() {
  const run = chosen(), all = run ? weighings(run) : [], list = all.slice(0, mostWeighed);
  $('break-even').hidden = !list.length;
  if (!list.length) return;
  $('break-even-note').textContent = `How ${nameOf(S.policy)} weighed whether its last replica goes: where the verdict changed, `
    + (all.length > list.length ? `the newest ${list.length} of ${all.length}` : 'newest first') + '. It pays where the silence is expected to last for longer than a load and what '
    + 'the waits for it are worth, and where no more requests would wait too long than the objective allows.';
  plain($('break-even-table'), 'Break-even', ['at', 'quiet for', 'expected to go on', 'to load again', 'waits worth', 'would wait too long', 'allowed', 'verdict'], list.map(i => {
    const c = name => decisionColumn(run, name)[i];
    return [el('button', {type: 'button', class: 'link', onclick: () => { reveal(c('t')); pin(c('t')); }}, clock(c('t'), true)),
      span(c('quiet')), span(c('expected')), span(c('load')), c('wait') ? span(c('wait')) : '0', num(c('late')), num(c('spare')), c('pays') ? 'goes' : 'one stays'];
  }));
}
