// Numbers, times and states as people write them. Times are seconds since 1970.

let clockOffset = 0;  // Of the daemon's clock before the browser's, in seconds.

export function setDaemonTime(seconds) {
  clockOffset = seconds - Date.now() / 1000;
}

export function now() {
  return Date.now() / 1000 + clockOffset;
}

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const fine = new Intl.NumberFormat('en', {maximumSignificantDigits: 3});

export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return Math.abs(value) >= 100 ? whole.format(value) : fine.format(value);
}

export function percent(share) {
  return `${Math.round(share * 1e5) / 1e3}\u00a0%`;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  const s = Math.max(0, seconds);
  if (s < 10) return `${Math.round(s * 10) / 10}\u00a0s`;
  if (s < 90) return `${Math.round(s)}\u00a0s`;
  if (s < 5400) return `${Math.round(s / 60)}\u00a0min`;
  if (s < 172800) return `${Math.round(s / 3600)}\u00a0h`;
  return `${Math.round(s / 86400)}\u00a0d`;
}

// An age: whole seconds, so that it ticks evenly.
export function age(time) {
  if (!time) return '–';
  return span(Math.max(0, Math.floor(now() - time)));
}

export function plural(count, one, many = `${one}s`) {
  return `${whole.format(count)} ${count === 1 ? one : many}`;
}

const formats = new Map();
function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat('en-GB', {...options, timeZone: zone || 'UTC'});
    } catch {
      made = new Intl.DateTimeFormat('en-GB', {...options, timeZone: 'UTC'});
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

const HM = {hour: '2-digit', minute: '2-digit', hourCycle: 'h23'};

export function clock(time, zone) {
  return format(zone, HM).format(time * 1000);
}

export function day(time, zone) {
  return format(zone, {weekday: 'short', day: 'numeric', month: 'short'}).format(time * 1000);
}

export function full(time, zone) {
  return format(zone, {weekday: 'short', day: 'numeric', month: 'short', ...HM, second: '2-digit'})
    .format(time * 1000);
}

// Of the zone at `time`, in seconds east of UTC.
export function zoneOffset(time, zone) {
  const parts = {};
  const options = {year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric',
    minute: 'numeric', second: 'numeric', hourCycle: 'h23'};
  for (const {type, value} of format(zone, options).formatToParts(time * 1000)) {
    parts[type] = Number(value);
  }
  const local = Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute,
    parts.second) / 1000;
  return Math.round(local - time);
}

// "WAITING_TO_STABILIZE" -> "waiting to stabilize"
export function lower(word) {
  return String(word ?? '').toLowerCase().replaceAll('_', ' ');
}

export function sentence(word) {
  const text = lower(word);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// "BalancerReachable" -> "Balancer reachable"
export function spaced(type) {
  const text = String(type ?? '').replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const BECAUSE = {
  NO_CHANGE: 'nothing has changed',
  PREDICTED_INCREASE: 'the forecast rises',
  REACTIVE_NEED: 'demand alone asks for it',
  DEMAND_ROSE: 'demand rose',
  DEMAND_FELL: 'demand fell and stayed low',
  WAITING_TO_STABILIZE: 'less would do, but not yet for long enough',
  NEED_WITHIN_LOOK_AHEAD: 'less would do now, but not for long',
  NO_NEED_AHEAD: 'no need is ahead',
  USAGE_STALE: 'usage is stale, so nothing is scaled in',
  FORECAST_UNTRUSTED: 'the forecast is not trusted yet',
  ERRORS_RISING: 'errors or response times rise',
  AT_MAXIMUM: 'the maximum is reached',
  AT_MINIMUM: 'the minimum is reached',
  HELD: "a person's target holds",
  OBSERVING: 'the pool is only observed',
  BELOW_THRESHOLD: 'the increase is too small for a shadow',
  BURST: 'demand left the forecast band',
  OVER_BUDGET: "the daemon's instances are scarce",
};

export function because(reasons) {
  const known = reasons.map((reason) => BECAUSE[reason] ?? lower(reason));
  if (known.length < 2) return known.join('');
  return `${known.slice(0, -1).join(', ')} and ${known.at(-1)}`;
}

// A decision in a few words, e.g. "Wake 2 more: 4 of 6 shadows serve".
export function verdict(decision) {
  const {target, active, before_target: size, before_active: level} = decision;
  const would = decision.acted ? '' : 'Would ';
  const say = (text) => would ? would + text : text.charAt(0).toUpperCase() + text.slice(1);
  const serve = `${active} of ${target} shadows serve`;
  if (target > size) return say(`grow the shadow from ${size} to ${target}`);
  if (target < size && target === 0) return say('end the shadow');
  if (target < size) return say(`shrink the shadow from ${size} to ${target}`);
  if (active > level) return say(`wake ${active - level} more: ${serve}`);
  if (active < level) return say(`suspend ${level - active}: ${serve}`);
  if (target === 0) return say('keep no shadow');
  return say(`keep ${active} of ${target} shadows serving`);
}
