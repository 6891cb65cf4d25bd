// One pool: its demand and capacity, instances, decisions, events, conditions.

import {chart} from './chart.js';
import {el, keyed, setData, setText} from './dom.js';
import {get, gently, poolPath} from './feed.js';
import {age, because, clock, day, full, lower, now, number, percent, plural, sentence, spaced,
  span, verdict} from './words.js';

const CHART_S = 15;  // How old the chart's data may become.
const REACHES = [['6 h', 6 * 3600], ['24 h', 86400]];
const NARROW = '(max-width: 520px)';  // As in pool.css.

function section(title, id, ...children) {
  const count = el('span', {class: 'count'});
  const heading = el('h2', {id}, el('span', {text: title}), count);
  const node = el('section', {class: 'panel', 'aria-labelledby': id}, heading, ...children);
  return {count, node};
}

// Times that grow old by themselves: `data-since` in seconds.
function tickAges(root) {
  for (const node of root.querySelectorAll('[data-since]')) {
    const text = age(Number(node.dataset.since));
    setText(node, node.dataset.ago === undefined ? text : `${text} ago`);
  }
}

function figures() {
  const make = (label) => {
    const value = el('dd', {text: '–'});
    const hint = el('dd', {class: 'hint', text: '\u00a0'});
    return {value, hint, node: el('div', {class: 'stat'}, el('dt', {text: label}), value, hint)};
  };
  const all = {demand: make('Demand'), active: make('Active capacity'),
    ready: make('Ready capacity'), level: make('Shadow'), lead: make('Lead to serve'),
    forecast: make('Forecast')};
  const node = el('dl', {class: 'stats'}, ...Object.values(all).map((stat) => stat.node));
  const set = (stat, value, hint) => {
    setText(stat.value, value);
    setText(stat.hint, hint || '\u00a0');
    stat.hint.title = hint || '';
  };
  return {node, update(pool, data) {
    const last = data?.last;
    set(all.demand, number(last?.[1]), last ? [pool.unit, `${age(last[0])} ago`]
      .filter(Boolean).join(', ') : 'not known yet');
    set(all.active, number(pool.active_capacity), `${plural(pool.serving, 'instance')} serving`);
    set(all.ready, number(pool.active_capacity + pool.suspended * pool.instance_capacity),
      `${plural(pool.suspended, 'instance')} suspended`);
    set(all.level, `${pool.shadow_serving} of ${pool.shadow_target}`,
      `serving, level ${pool.shadow_level} %`);
    set(all.lead, span(pool.activation_lead_s), `a new one ${span(pool.provisioning_lead_s +
      pool.activation_lead_s)}`);
    const trust = data?.trust;
    set(all.forecast, trust ? (trust === 'TRUSTED' ? 'trusted' : lower(trust)) : '–',
      data?.trust_reason);
    setData(all.forecast.node, 'small', 'true');
  }};
}

function tile() {
  const parts = {id: el('b', {}), state: el('span', {class: 'state'}), since: el('span', {}),
    about: el('span', {class: 'about'}), reason: el('p', {class: 'reason', hidden: true})};
  const node = el('li', {class: 'tile'}, el('p', {class: 'tile-top'}, parts.id, parts.since),
    parts.state, parts.about, parts.reason);
  node.parts = parts;
  return node;
}

function updateTile(node, instance) {
  const {parts} = node;
  setData(node, 'state', instance.state);
  setText(parts.id, instance.id);
  setText(parts.state, sentence(instance.state));
  setData(parts.since, 'since', String(instance.since));
  setText(parts.since, age(instance.since));
  parts.since.title = `since ${full(instance.since)} UTC, created ${full(instance.created)} UTC`;
  const about = [instance.role === 'BASE' ? 'base' : 'shadow'];
  const active = instance.state === 'ACTIVE';
  if (active && instance.weight < 100) about.push(`weight ${instance.weight} %`);
  if (active && instance.woke_s !== null) {
    about.push(`${instance.woken ? 'woke' : 'started'} in ${span(instance.woke_s)}`);
  }
  setText(parts.about, about.join(' · '));
  parts.about.title = instance.address;
  setText(parts.reason, instance.reason);
  parts.reason.hidden = !instance.reason;
}

function timed(time) {
  return el('time', {'data-since': time, 'data-ago': '', title: `${full(time)} UTC`,
    text: `${age(time)} ago`});
}

function decisionItem(decision) {
  const why = el('details', {}, el('summary', {text: `because ${because(decision.reasons)}`}),
    el('p', {text: decision.text}));
  return el('li', {}, el('p', {class: 'line'}, el('b', {text: verdict(decision)}),
    timed(decision.time)), why);
}

function eventItem(event) {
  const what = event.message.replaceAll('->', '→') || lower(event.kind);
  return el('li', {}, el('p', {class: 'line'}, el('span', {}, el('b', {text: event.short}), ' ',
    el('span', {text: what})), timed(event.time)));
}

function conditionItem() {
  const parts = {type: el('b', {}), since: el('span', {}), message: el('p', {class: 'because'})};
  const node = el('li', {}, el('p', {class: 'line'}, el('span', {}, el('span', {class: 'dot',
    'aria-hidden': 'true'}), parts.type), parts.since), parts.message);
  node.parts = parts;
  return node;
}

function updateCondition(node, condition) {
  setData(node, 'status', condition.status);
  setText(node.parts.type, `${spaced(condition.type)}: ${{TRUE: 'yes', FALSE: 'no'}[
    condition.status] ?? 'not known'}`);
  if (condition.since) setData(node.parts.since, 'since', String(condition.since));
  setText(node.parts.message, condition.message || spaced(condition.reason));
}

function holdText(pool) {
  const until = pool.hold;
  if (!(until > now())) return '';
  return `A person's target holds until ${day(until, pool.time_zone)}, ${
    clock(until, pool.time_zone)} (${pool.time_zone}), for ${span(until - now())} more.`;
}

function reachButtons(graph) {
  const first = window.matchMedia(NARROW).matches ? 0 : 1;
  const buttons = REACHES.map(([text], i) => el('button', {type: 'button', text,
    'aria-pressed': String(i === first), title: `${text} back and ${text} ahead`}));
  graph.setReach(REACHES[first][1]);
  buttons.forEach((button, i) => button.addEventListener('click', () => {
    buttons.forEach((other) => other.setAttribute('aria-pressed', String(other === button)));
    graph.setReach(REACHES[i][1]);
  }));
  return el('div', {class: 'segmented', role: 'group', 'aria-label': 'Range'}, ...buttons);
}

function legendOfStates() {
  const node = el('ul', {class: 'state-legend', 'aria-label': 'Instances by state'});
  return {node, update(states) {
    keyed(node, Object.entries(states), ([state]) => state, ([state]) => el('li',
      {'data-state': state}, el('i', {'aria-hidden': 'true'}), el('span', {})),
    (item, [state, count]) => setText(item.lastElementChild, `${count} ${lower(state)}`));
  }};
}

function headOf(id) {
  const mode = el('span', {class: 'chip'});
  const why = el('p', {class: 'why'});
  const hold = el('p', {class: 'hold', hidden: true});
  const dot = el('span', {class: 'dot', 'aria-hidden': 'true'});
  const dna = el('span', {class: 'mono'});
  const node = el('div', {class: 'pool-head'}, el('div', {class: 'head'}, dot,
    el('h1', {text: id}), mode, el('span', {class: 'spacer'}), dna), why, hold);
  return {node, update(pool) {
    setData(node, 'health', pool.health);
    setText(mode, pool.mode === 'AUTOMATIC' ? 'automatic' : 'observe');
    setText(why, pool.why);
    setText(dna, pool.dna_revision);
    const text = holdText(pool);
    setText(hold, text);
    hold.hidden = !text;
  }};
}

function aboutOf(pool) {
  const bounds = `${pool.min_shadow} to ${pool.max_shadow} shadows`;
  const level = pool.service_level > 0 ? `service level ${percent(pool.service_level)}`
    : 'by costs';
  return [pool.provider || 'process', `balancer ${pool.balancer || 'none'}`,
    `step ${span(pool.step_s)}`, level, bounds, lower(pool.sizing)].join(' · ');
}

function panels(graph) {
  const tiles = el('ul', {class: 'tiles', 'aria-labelledby': 'h-instances'});
  const states = legendOfStates();
  const decisions = el('ol', {class: 'list', tabindex: 0, 'aria-labelledby': 'h-decisions'});
  const events = el('ol', {class: 'list', tabindex: 0, 'aria-labelledby': 'h-events'});
  const conditions = el('ul', {class: 'list'});
  const about = el('p', {class: 'caption'});
  const parts = {
    chart: section('Demand and capacity', 'h-chart', reachButtons(graph), graph.node, about),
    instances: section('Instances', 'h-instances', states.node, tiles),
    decisions: section('Last decisions', 'h-decisions', decisions),
    events: section('Events', 'h-events', events),
    conditions: section('Conditions', 'h-conditions', conditions),
  };
  return {...parts, showPool(pool) {
    states.update(pool.states);
    keyed(tiles, pool.instances, (instance) => instance.name, tile, updateTile);
    const hidden = pool.instances_total - pool.instances.length;
    setText(parts.instances.count, number(pool.instances_total) +
      (hidden > 0 ? `, ${number(hidden)} not shown` : ''));
    keyed(conditions, pool.conditions, (condition) => condition.type, conditionItem,
      updateCondition);
    setText(about, aboutOf(pool));
    tickAges(conditions);
  }, showLists(answer) {
    keyed(decisions, answer.decisions, (decision) => String(decision.id), decisionItem, () => {});
    keyed(events, answer.events, (event) => String(event.revision), eventItem, () => {});
    setText(parts.decisions.count, answer.decisions.length ? '' : 'none yet');
    setText(parts.events.count, answer.events.length ? '' : 'none lately');
  }};
}

export function poolView(id) {
  const graph = chart();
  const head = headOf(id);
  const stats = figures();
  const all = panels(graph);
  const body = el('div', {}, stats.node, all.chart.node, all.instances.node,
    el('div', {class: 'columns'}, all.decisions.node, el('div', {}, all.conditions.node,
      all.events.node)));
  const missing = el('p', {class: 'quiet', hidden: true, text: `There is no pool "${id}".`});
  const node = el('div', {class: 'page'}, head.node, missing, body);
  let pool = null;
  let data = null;
  let chartTime = -Infinity;

  const loadPool = gently(async () => {
    const answer = await get(poolPath(id));
    missing.hidden = answer !== null;
    body.hidden = answer === null;
    if (!answer) return;
    pool = answer;
    head.update(pool);
    stats.update(pool, data);
    all.showPool(pool);
  }, 250);
  const loadLists = gently(async () => {
    const answer = await get(poolPath(id, 'log'));
    if (answer) all.showLists(answer);
  }, 1000);
  const loadChart = gently(async () => {
    chartTime = performance.now();
    const answer = await get(poolPath(id, 'chart'));
    if (!answer) return;
    data = answer;
    graph.update(data);
    if (pool) stats.update(pool, data);
  }, 2000);
  const refresh = () => {
    loadPool();
    loadLists();
    loadChart();
  };
  let ticks = 0;
  return {
    node,
    refresh,
    changed(change) {
      if (!change.all && !change.pools.includes(id)) return;
      loadPool();
      loadLists();
    },
    tick() {
      tickAges(node);
      if (pool) head.update(pool);
      if (performance.now() - chartTime > CHART_S * 1000) {
        loadChart();
        loadLists();  // A decision need not change the pool.
      }
      if (++ticks % 5 === 0) graph.draw();  // "Now" moves on.
    },
    close: graph.close,
  };
}
