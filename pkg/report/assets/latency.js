// The charts of how requests fared.

const queue = {
  id: 'queue', title: 'Requests waiting for their first token', unit: 'requests', height: 130,
  draw(p) {
    const s = chosen().series, level = s.level(2 * p.pixel), o = compared(), ol = o && o.series.level(2 * p.pixel);
    const waiting = s.column('waiting', level), queued = s.column('queued', level), other = o && o.series.column('waiting', ol);
    const top = Math.max(highest(s, level, i => waiting[i], i => queued[i]), o ? highest(o.series, ol, i => other[i]) : 0, 1);
    const y = upTo(p, top, 3);
    const all = points(p, s, level, i => waiting[i], y);
    p.g.fillStyle = css('waiting-area');
    area(p.g, all, p.box.bottom);
    p.g.fillStyle = css('queued');
    area(p.g, points(p, s, level, i => queued[i], y, true), p.box.bottom);
    pen(p.g, css('waiting'), 1.25);
    path(p.g, all);
    if (o) { pen(p.g, colourOf(S.other), 1.25, [5, 3]); path(p.g, points(p, o.series, ol, i => other[i], y)); }
  },
  legend(t, pixel) {
    const s = chosen().series, level = s.level(2 * pixel), value = name => t == null ? null : num(at(s, name, level, t));
    const keys = [key(box('waiting'), 'all', value('waiting')), key(box('queued'), 'of these held by the gateway', value('queued'))];
    if (compared()) keys.push(key(swatchDashed(S.other), nameOf(S.other), t == null ? null : num(at(compared().series, 'waiting', compared().series.level(2 * pixel), t))));
    return keys;
  },
};

const ttft = {
  id: 'ttft', title: 'Time to first token', unit: 'logarithmic', height: 170,
  draw(p) {
    const s = chosen().series, level = s.level(4 * p.pixel), o = compared(), ol = o && o.series.level(4 * p.pixel);
    const p50 = s.column('ttft50', level), p99 = s.column('ttft99', level), other = o && o.series.column('ttft99', ol), goal = D.slo.ttft_s;
    const [i0, i1] = visible(s, level), seen = [...p50.slice(i0, i1), ...p99.slice(i0, i1), ...(o ? other.slice(...visible(o.series, ol)) : [])].filter(v => v > 0);
    const lo = Math.min(...seen, goal || 1) / 1.4, hi = Math.max(...seen, goal || 0) * 1.4, y = log(lo, hi, p.box.bottom, p.box.top);
    if (goal) {
      p.g.fillStyle = css('bad-area');
      p.g.fillRect(p.box.left, p.box.top, p.box.right - p.box.left, y(goal) - p.box.top);
    }
    pen(p.g, css('line'), 1);
    const ticks = thin(logTicks(lo, hi), y, 14);
    for (const t of ticks) {
      line(p.g, p.box.left, y(t), p.box.right, y(t));
      if (!goal || Math.abs(y(t) - y(goal)) > 11) p.label(seconds(t), p.box.left - 8, y(t), 'right');
    }
    if (goal) {
      pen(p.g, css('bad'), 1.25, [5, 4]);
      line(p.g, p.box.left, y(goal), p.box.right, y(goal));
      p.label(seconds(goal), p.box.left - 8, y(goal), 'right', css('bad'));
    }
    if (o) { pen(p.g, colourOf(S.other), 1.25, [5, 3]); path(p.g, points(p, o.series, ol, i => other[i], y)); }
    pen(p.g, css('p99'), 1.75);
    path(p.g, points(p, s, level, i => p99[i], y));
    pen(p.g, css('p50'), 1.25);
    path(p.g, points(p, s, level, i => p50[i], y));
  },
  legend(t, pixel) {
    const s = chosen().series, level = s.level(4 * pixel), value = name => t == null ? null : seconds(at(s, name, level, t));
    const keys = [key(box('p99 line'), 'p99', value('ttft99')), key(box('p50 line'), 'p50', value('ttft50'))];
    if (compared()) keys.push(key(swatchDashed(S.other), nameOf(S.other) + ' p99', t == null ? null : seconds(at(compared().series, 'ttft99', compared().series.level(4 * pixel), t))));
    if (D.slo.ttft_s) keys.push(key(box('bad dashed'), 'objective', seconds(D.slo.ttft_s)));
    return keys;
  },
};

const LANE = 17;
const misses = {
  id: 'misses', title: 'Requests that missed the SLO', unit: 'each policy, by time of arrival',
  get height() { return 34 + LANE * runsNow().length; },
  draw(p) {
    runsNow().forEach((run, k) => {
      const s = run.series, level = s.level(3 * p.pixel), arrived = s.column('arrived', level), missed = s.column('missed', level);
      const y = p.box.top + k * LANE, [i0, i1] = visible(s, level), w = s.width(level);
      p.g.fillStyle = css('lane');
      p.g.fillRect(p.box.left, y + 1, p.box.right - p.box.left, LANE - 3);
      for (let i = i0; i < i1; i++) {
        if (!missed[i]) continue;
        p.g.globalAlpha = 0.12 + 0.88 * Math.sqrt(missed[i] / arrived[i]);
        p.g.fillStyle = css('bad');
        const x0 = p.x(i * w), x1 = p.x((i + 1) * w);
        p.g.fillRect(x0, y + 1, Math.max(1.5, x1 - x0), LANE - 3);
      }
      p.g.globalAlpha = 1;
      p.g.font = (run.policy === S.policy ? '600 ' : '') + FONT;
      p.label(fit(p.g, nameOf(run.policy), p.box.left - 12), p.box.left - 8, y + LANE / 2 - 0.5, 'right', css(run.policy === S.policy ? 'ink' : 'soft'));
      p.g.font = FONT;
    });
  },
  legend(t, pixel) {
    const s = chosen().series, level = s.level(3 * pixel), n = at(s, 'arrived', level, t ?? -1), m = at(s, 'missed', level, t ?? -1);
    return [key(box('bad'), 'all missed'), key(box('bad-faint'), 'some'), key(null, nameOf(S.policy), t == null || !known(n) ? null : `${m} of ${n}`)];
  },
  click(y) {
    const run = runsNow()[Math.floor((y - 8) / LANE)];
    if (run) choose(run.policy);
  },
};
