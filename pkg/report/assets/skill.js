// The chart of how the forecasts did.

const has = (run, name) => run.columns[name] != null;

const skill = {
  id: 'skill', title: 'Skill of the forecast', unit: '1 − its loss / that of the last value', height: 130,
  shown: () => has(chosen(), 'skill_hours'),
  draw(p) {
    const s = chosen().series, level = s.level(2 * p.pixel), hours = s.column('skill_hours', level), days = s.column('skill_days', level);
    const list = [hours, days].flatMap(c => c.slice(...visible(s, level))).filter(known);
    const lo = Math.max(-1, Math.min(-0.2, ...list)), hi = Math.max(0.2, ...list), y = linear(lo, hi * 1.08, p.box.bottom, p.box.top);
    const bounded = v => known(v) ? Math.max(lo, v) : v;
    stoodIn(p, s, level);
    pen(p.g, css('line'), 1);
    for (const t of roundTicks(lo, hi, 3)) {
      if (t) line(p.g, p.box.left, y(t), p.box.right, y(t));
      p.label(num(t), p.box.left - 8, y(t), 'right');
    }
    pen(p.g, css('soft'), 1);
    line(p.g, p.box.left, y(0), p.box.right, y(0));
    pen(p.g, css('forecast'), 1.75);
    path(p.g, points(p, s, level, i => bounded(days[i]), y, true));
    pen(p.g, css('forecast'), 1.25, [5, 3]);
    path(p.g, points(p, s, level, i => bounded(hours[i]), y, true));
  },
  legend(t, pixel) {
    const s = chosen().series, level = s.level(2 * pixel), end = s.column('skill_days', level).findLastIndex(known);
    const value = name => num(t == null ? s.column(name, level)[end] : at(s, name, level, t));
    const when = t == null ? ', at the end' : '';
    return [key(box('forecast line'), 'over days' + when, value('skill_days')), key(box('forecast dashed'), 'over hours' + when, value('skill_hours')),
      key(box('bad-faint'), 'withdrawn: the last value stands in')];
  },
};

// stoodIn shades the time in which the last value stood in for the forecast.
function stoodIn(p, s, level) {
  const withdrawn = s.column('withdrawn', level), [i0, i1] = visible(s, level), w = s.width(level);
  p.g.fillStyle = css('bad-area');
  for (let i = i0; i < i1; i++) {
    if (withdrawn[i] > 0.5) p.g.fillRect(p.x(i * w), p.box.top, p.x((i + 1) * w) - p.x(i * w), p.box.bottom - p.box.top);
  }
}
