// The lead-time sweep: one line for each policy.

function drawSweep() {
  const several = D.leads.filter((_, i) => D.results.some(r => r.lead === i)).length > 1;
  $('sweep').hidden = !several;
  if (!several) return;
  const oracles = D.leads.map((_, i) => D.results.find(r => r.lead === i && isOracle(r.policy)));
  const priced = oracles.every(o => o && o.figures.gpu_hours > 0);
  const price = r => priced ? r.figures.gpu_hours / oracles[r.lead].figures.gpu_hours : r.figures.gpu_hours;
  sweepChart($('sweep-attainment'), 'SLO attained', r => r.figures.attainment, (box, values) => {
    const y = attainmentScale(lowestShare(values), box.bottom - 4, box.top + 6);
    return {y, ticks: y.ticks, write: shareLabel, goal: D.slo.attainment};
  });
  sweepChart($('sweep-cost'), priced ? 'GPU-hours, as a multiple of the oracle’s at the same lead time' : 'GPU-hours', price, (box, values) => {
    const lo = Math.min(...values), hi = Math.max(...values), wide = hi / lo > 2.5;
    const y = wide ? log(lo / 1.1, hi * 1.1, box.bottom, box.top) : linear(Math.max(0, lo - (hi - lo) * 0.06), hi + (hi - lo) * 0.06 || 1, box.bottom, box.top);
    return {y, ticks: wide ? thin(logTicks(lo / 1.1, hi * 1.1), y, 18) : roundTicks(y.invert(box.bottom), y.invert(box.top), 5), write: v => num(v) + (priced ? ' ×' : '')};
  });
  sweepTable(price, priced);
}

function sweepChart(host, title, value, axis) {
  const rows = D.policies.map((_, i) => D.results.filter(r => r.policy === i && known(value(r))).sort((a, b) => a.lead - b.lead)).filter(r => r.length);
  const label = title + ' by lead time: ' + rows.map(r => nameOf(r[0].policy) + ' ' + r.map(x => num(value(x))).join(', ')).join('; ');
  const {g, width, height} = surface(host, 320, label);
  const names = Math.max(...rows.map(r => g.measureText(nameOf(r[0].policy)).width));
  const box = {left: 56, right: width - names - 34, top: 30, bottom: height - 42};
  const x = i => box.left + 14 + (box.right - box.left - 28) * (D.leads.length > 1 ? i / (D.leads.length - 1) : 0.5);
  const {y, ticks, write, goal} = axis(box, rows.flat().map(value));
  text(g, title, 0, 10, 'left', css('ink'));
  pen(g, css('line'), 1);
  for (const t of ticks) {
    line(g, box.left, y(t), box.right, y(t));
    text(g, write(t), box.left - 8, y(t), 'right');
  }
  if (goal != null) {
    g.fillStyle = css('good-area');
    g.fillRect(box.left, box.top, box.right - box.left, y(goal) - box.top);
    pen(g, css('good'), 1.5, [5, 4]);
    line(g, box.left, y(goal), box.right, y(goal));
  }
  D.leads.forEach((l, i) => text(g, span(l.seconds), x(i), box.bottom + 14, 'center', i === S.lead ? css('ink') : null));
  text(g, 'lead time', (box.left + box.right) / 2, box.bottom + 33, 'center');
  const order = rows.sort((a, b) => rankOf(a[0].policy) - rankOf(b[0].policy));
  for (const r of order) {
    pen(g, colourOf(r[0].policy), isOurs(r[0].policy) ? 3 : 1.75, dashOf(r[0].policy));
    path(g, r.map(p => [x(p.lead), y(value(p))]));
    r.forEach(p => point(g, p.policy, x(p.lead), y(value(p)), isOurs(p.policy) ? 5 : 4));
  }
  const labels = rows.map(r => ({policy: r[0].policy, x: x(r[r.length - 1].lead), y: y(value(r[r.length - 1]))}));
  spread(labels, 13, box.top, box.bottom);
  for (const l of labels) {
    pen(g, css('line'), 1);
    line(g, l.x + 7, l.y, box.right + 14, l.at);
    g.font = (isOurs(l.policy) ? '600 ' : '') + FONT;
    text(g, nameOf(l.policy), box.right + 18, l.at, 'left', css('ink'));
  }
  g.font = FONT;
}
// rankOf draws Preheat last, on top, and the oracle before it.
const rankOf = i => isOurs(i) ? 2 : isOracle(i) ? 1 : 0;

function sweepTable(price, priced) {
  const head = ['Policy', ...D.leads.map(l => span(l.seconds)), 'meets the SLO'];
  const rows = D.policies.map((p, i) => {
    const at = D.leads.map((_, lead) => D.results.find(r => r.policy === i && r.lead === lead));
    return [[swatch(i), p.name], ...at.map(r => r ? [mark(r.slo, percent(r.figures.attainment)), el('small', {}, fixed(price(r), 2) + (priced ? ' × oracle' : ' GPU-h'))] : '–'), holds(at)];
  });
  plain($('sweep-table'), 'Attainment and cost by lead time', head, rows);
}
// holds says up to which lead time a policy meets the SLO without a break, and whether what follows is a miss or unsure.
function holds(at) {
  const tried = at.filter(r => r), ends = tried.findIndex(r => r.slo !== 'met');
  if (ends < 0) return tried.length ? 'at all of these' : '–';
  const said = ends ? 'up to ' + span(D.leads[tried[ends - 1].lead].seconds) : tried.some(r => r.slo === 'unsure') ? '' : 'at none of these';
  if (tried[ends].slo === 'missed') return said || 'unsure';
  const misses = tried.find(r => r.slo === 'missed');
  return [said, 'unsure' + (misses ? ' below ' + span(D.leads[misses.lead].seconds) : said ? ' beyond' : '')].filter(x => x).join(', ');
}
