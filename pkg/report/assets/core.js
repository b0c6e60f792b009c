'use strict';
// The page's data, and how its numbers, times and texts are read and written.
const D = JSON.parse(document.getElementById('data').textContent);
D.slo.attainment ??= 0;
const $ = id => document.getElementById(id);

// el makes an element; kids are nodes or texts. Texts never become markup.
function el(tag, attrs, ...kids) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) {
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, '');
    else if (v !== false && v != null) e.setAttribute(k, v);
  }
  e.append(...kids.flat().filter(x => x != null));
  return e;
}

const known = x => x != null && Number.isFinite(x);
const clamp = (x, lo, hi) => Math.min(hi, Math.max(lo, x));
const sum = list => list.reduce((a, b) => a + b, 0);

// num writes three significant digits, and all digits of the whole part.
function num(x) {
  if (!known(x)) return '–';
  const a = Math.abs(x), sign = x < 0 ? '−' : '';
  if (a >= 1e5) return sign + Math.round(a).toLocaleString('en-US');
  if (a >= 100) return sign + Math.round(a);
  return sign + +a.toPrecision(3);
}
// fixed writes what stands in a column: as many decimals in every row.
const fixed = (x, decimals) => known(x) ? x.toLocaleString('en-US', {minimumFractionDigits: decimals, maximumFractionDigits: decimals}) : '–';
// hoursText writes GPU-hours as the verdict and the terminal do.
const hoursText = x => known(x) ? x.toFixed(x < 1000 ? 2 : 0) : '–';
// percent rounds down, so that 99 % is never said of less.
const percent = x => known(x) ? (Math.floor(x * 1e4 + 1e-6) / 100).toFixed(2) + ' %' : '–';
// seconds writes a latency.
function seconds(s) {
  if (!known(s)) return '–';
  if (s < 0.9995) return num(s * 1000) + ' ms';
  if (s < 120) return num(s) + ' s';
  return span(s);
}
// latency writes one that stands in a column: three digits in every row.
const latency = s => known(s) && s < 0.9995 ? (s * 1000).toPrecision(3) + ' ms' : known(s) && s < 100 ? s.toPrecision(3) + ' s' : seconds(s);
// span writes a length of time.
function span(s) {
  if (!known(s)) return '–';
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  let rest = Math.round(s);
  if (rest < 1) return num(s) + ' s';
  const parts = [];
  for (const [size, name] of units) {
    if (parts.length === 2) break;
    const n = Math.floor(rest / size);
    if (n > 0) parts.push(n + ' ' + name);
    else if (parts.length) break;
    rest -= n * size;
  }
  return parts.join(' ');
}
// clock writes an instant since the start as h:mm, with seconds where asked for.
function clock(t, fine) {
  const s = Math.round(t), two = n => String(n).padStart(2, '0');
  const days = D.length >= 2 * 86400 ? Math.floor(s / 86400) : 0;
  const day = D.length >= 2 * 86400 ? 'd' + (days + 1) + ' ' : '';
  const rest = s - days * 86400;
  return day + Math.floor(rest / 3600) + ':' + two(Math.floor(rest / 60) % 60) + (fine ? ':' + two(rest % 60) : '');
}

// sentence puts the numbers back into a text.
function sentence(place, numbers) {
  const list = numbers === '' ? [] : numbers.split(' ');
  let i = 0;
  return D.texts[place].replace(/\u0001/g, () => list[i++] ?? '');
}

// decisionColumn is one number of each decision of a run.
const decisionColumn = (run, name) => D.columns[run.log.columns[name]];

// last returns the greatest i with list[i] <= x, -1 where there is none; list ascends.
function last(list, x) {
  let lo = -1, hi = list.length;
  while (hi - lo > 1) {
    const mid = (lo + hi) >> 1;
    if (list[mid] <= x) lo = mid; else hi = mid;
  }
  return lo;
}

// Series is a run's bins at any width: each level doubles the width of the one before. Counts add up, replicas and rates
// are means, quantiles were merged when the page was written.
class Series {
  constructor(run) {
    this.run = run;
    this.cache = new Map();
  }
  width(level) { return this.run.width * 2 ** level; }
  count(level) { return Math.ceil(this.run.bins / 2 ** level); }
  get levels() { return this.run.ttft50.length; }
  // level is the finest one whose bins are at least so many seconds wide.
  level(wide) {
    let l = 0;
    while (l < this.levels - 1 && this.width(l) < wide) l++;
    return l;
  }
  column(name, level) {
    const key = name + level;
    if (!this.cache.has(key)) this.cache.set(key, this.make(name, level));
    return this.cache.get(key);
  }
  make(name, level) {
    if (name === 'ttft50' || name === 'ttft99') return D.columns[this.run[name][level]];
    if (level === 0) return D.columns[this.run.columns[name]];
    const finer = this.column(name, level - 1), out = [];
    const adds = name === 'arrived' || name === 'missed';
    for (let i = 0; i < finer.length; i += 2) out.push(merge(finer[i], finer[i + 1], adds));
    return out;
  }
}
function merge(a, b, adds) {
  if (a == null) return b ?? null;
  if (b == null) return a;
  return adds ? a + b : (a + b) / 2;
}
// held is the number of replicas that hold GPUs.
function held(series, level) {
  const [s, r, d] = ['starting', 'ready', 'draining'].map(n => series.column(n, level));
  return s.map((x, i) => x == null ? null : x + r[i] + d[i]);
}

// What is shown: a lead time, a policy and one to compare it with, a window of time and a pinned instant.
const S = {lead: 0, policy: 0, other: -1, view: [0, 1], pin: null, beyond: false};
const runs = new Map(D.runs.map(r => [r.policy + '/' + r.lead, {...r, series: null}]));
for (const r of runs.values()) r.series = new Series(r);
const runOf = (policy, lead = S.lead) => runs.get(policy + '/' + lead);
const runsNow = () => D.policies.map((_, i) => runOf(i)).filter(Boolean);
const resultsNow = () => D.results.filter(r => r.lead === S.lead);
const policyNamed = name => D.policies.findIndex(p => p.name === name);
const nameOf = i => D.policies[i].name;

// Listeners are told what changed: 'lead', 'policy', 'view', 'pin' or 'theme'.
const listeners = [];
const tell = (...what) => listeners.forEach(f => f(new Set(what)));

// css reads a colour of the theme.
let themeColours = new Map();
function css(name) {
  if (!themeColours.has(name)) themeColours.set(name, getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim());
  return themeColours.get(name);
}
const DASHES = [[], [6, 3], [2, 2.5], [8, 3, 2, 3]];
const colourOf = i => css('hue' + D.policies[i].style.hue);
const dashOf = i => DASHES[D.policies[i].style.dash];
