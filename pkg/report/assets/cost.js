// The chart of what the policies spent.

// spent are the GPU-hours of a run up to the end of each of its bins.
function spent(run) {
  if (!run.spent) {
    let total = 0;
    run.spent = [0, ...held(run.series, 0).map((h, i) => (total += (h || 0) * run.gpus * covered(run.series, 0, i) / 3600))];
  }
  return run.spent;
}
function spentAt(run, t) {
  const list = spent(run), i = clamp(Math.floor(t / run.width), 0, list.length - 2);
  const part = clamp((t - i * run.width) / covered(run.series, 0, i), 0, 1);
  return list[i] + (list[i + 1] - list[i]) * part;
}
const oracleRun = () => runsNow().find(r => isOracle(r.policy));
const costAt = (run, t) => spentAt(run, t) - (S.beyond && oracleRun() ? spentAt(oracleRun(), t) : 0);

const cost = {
  id: 'cost', get title() { return S.beyond && oracleRun() ? 'GPU-hours beyond the oracle’s, up to then' : 'GPU-hours up to then'; }, unit: '', height: 190,
  draw(p) {
    const list = runsNow(), [t0, t1] = S.view, values = list.flatMap(r => [0, 0.25, 0.5, 0.75, 1].map(k => costAt(r, t0 + k * (t1 - t0))));
    const lo = Math.min(...values), hi = Math.max(...values), pad = (hi - lo) * 0.06 || 1;
    const y = linear(lo === 0 ? 0 : lo - pad, hi + pad, p.box.bottom, p.box.top);
    pen(p.g, css('line'), 1);
    for (const t of roundTicks(y.invert(p.box.bottom), y.invert(p.box.top), 4)) {
      line(p.g, p.box.left, y(t), p.box.right, y(t));
      p.label(num(t), p.box.left - 8, y(t), 'right');
    }
    for (const r of [...list].sort((a, b) => (a.policy === S.policy) - (b.policy === S.policy))) {
      pen(p.g, colourOf(r.policy), r.policy === S.policy ? 2.75 : 1.25, dashOf(r.policy));
      const line_ = [];
      for (let x = p.box.left; x <= p.box.right; x += 2) {
        const t = p.x.invert(x);
        if (t <= Math.max(r.end, D.length)) line_.push([x, y(costAt(r, t))]);
      }
      path(p.g, line_);
    }
  },
  legend(t) {
    const upTo_ = t ?? S.view[1];
    return runsNow().map(r => ({...key(swatch(r.policy), nameOf(r.policy), hoursText(costAt(r, upTo_))), policy: r.policy}));
  },
};

const CHARTS = [demand, skill, replicas, queue, ttft, misses, cost];
