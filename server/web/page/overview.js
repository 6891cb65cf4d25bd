// Pools at a glance.

import {el, keyed, setData, setText} from './dom.js';
import {get, gently, poolPath} from './feed.js';
import {sparkline} from './spark.js';
import {number, now, plural, span} from './words.js';

const SPARK_S = 60;      // How old a sparkline may become.
const SPARKS_AT_ONCE = 4;
const SQUARES_MAX = 36;  // Instances shown one by one.

// Of states that are alike at a glance.
const STATES = ['ACTIVE', 'WARMING', 'RESUMING', 'DRAINING', 'SUSPENDED', 'SUSPENDING',
  'VERIFYING', 'CREATING', 'FAILED', 'DELETING'];

function statLine() {
  const make = (label) => {
    const value = el('dd', {text: '–'});
    return {value, node: el('div', {class: 'stat'}, el('dt', {text: label}), value)};
  };
  const stats = {pools: make('Pools'), serving: make('Instances serving'),
    suspended: make('Suspended, ready'), attention: make('Need attention')};
  const node = el('dl', {class: 'stats'}, ...Object.values(stats).map((stat) => stat.node));
  return {node, update(state) {
    setText(stats.pools.value, number(state.pools_total));
    setText(stats.serving.value, number(state.serving));
    setText(stats.suspended.value, number(state.suspended));
    setText(stats.attention.value, number(state.attention));
    setData(stats.attention.node, 'alarm', String(state.attention > 0));
  }};
}

function card(pool) {
  const name = el('h2', {});
  const why = el('p', {class: 'why'});
  const demand = el('span', {class: 'figure', text: '–'});
  const unit = el('span', {class: 'unit'});
  const spark = sparkline();
  const squares = el('div', {class: 'squares', 'aria-hidden': 'true'});
  const counts = el('p', {class: 'counts'});
  const mode = el('span', {class: 'chip'});
  const hold = el('span', {class: 'chip held', text: 'held', hidden: true});
  const node = el('a', {class: 'card pool', href: `#/${poolPath(pool.id)}`},
    el('div', {class: 'card-top'}, el('span', {class: 'dot', 'aria-hidden': 'true'}), name,
      el('span', {class: 'spacer'}), hold, mode),
    why, el('div', {class: 'card-demand'}, el('p', {}, demand, unit), spark.node), squares, counts);
  node.parts = {name, why, demand, unit, spark, squares, counts, mode, hold};
  node.sparkTime = -Infinity;
  return node;
}

function shadowText(pool) {
  if (pool.shadow_target === 0 && pool.shadow_serving === 0) return 'no shadow';
  return `${pool.shadow_serving} of ${plural(pool.shadow_target, 'shadow')} serving`;
}

function baseText(pool) {
  if (pool.external_capacity !== null) return `${number(pool.external_capacity)} external`;
  return `${pool.base_serving} of ${pool.base_target} base`;
}

function updateCard(node, pool) {
  const parts = node.parts;
  node.pool = pool;
  setText(parts.name, pool.id);
  setData(node, 'health', pool.health);
  setText(parts.why, pool.why);
  parts.why.title = pool.why;
  setText(parts.unit, pool.unit);
  setText(parts.mode, pool.mode === 'AUTOMATIC' ? 'automatic' : 'observe');
  parts.hold.hidden = !(pool.hold > now());
  const list = [];
  for (const state of STATES) {
    for (let i = 0; i < (pool.states[state] ?? 0) && list.length < SQUARES_MAX; ++i) {
      list.push({key: `${state}${i}`, state});
    }
  }
  keyed(parts.squares, list, (item) => item.key,
    (item) => el('i', {'data-state': item.state}), () => {});
  setText(parts.counts, `${baseText(pool)} · ${shadowText(pool)}`);
  node.setAttribute('aria-label',
    `Pool ${pool.id}: ${pool.why}. ${baseText(pool)}, ${shadowText(pool)}`);
}

// Loads sparklines of the cards that are on the screen, a few at a time.
function sparkLoader() {
  const queue = [];
  const visible = new Set();
  let running = 0;
  const load = async (node) => {
    node.sparkTime = performance.now();
    try {
      const spark = await get(poolPath(node.pool.id, 'spark'));
      if (!spark) return;
      node.parts.spark.update(spark);
      setText(node.parts.demand, number(spark.last?.[1]));
      node.parts.demand.title = spark.last ? `measured ${span(now() - spark.last[0])} ago` : '';
    } catch {
      node.sparkTime = -Infinity;  // Once the daemon is back.
    }
  };
  const pump = () => {
    while (running < SPARKS_AT_ONCE && queue.length > 0) {
      ++running;
      load(queue.shift()).finally(() => {
        --running;
        pump();
      });
    }
  };
  const want = (node) => {
    const old = performance.now() - node.sparkTime > SPARK_S * 1000;
    if (old && node.pool && !queue.includes(node)) queue.push(node);
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) visible.add(entry.target);
      else visible.delete(entry.target);
    }
    visible.forEach(want);
    pump();
  }, {rootMargin: '200px'});
  return {
    add: (node) => watcher.observe(node),
    tick() {
      visible.forEach((node) => node.isConnected ? want(node) : visible.delete(node));
      pump();
    },
    close: () => watcher.disconnect(),
  };
}

// Arrows go from card to card, as the eye does.
function moveFocus(event, grid) {
  const cards = [...grid.children].filter((node) => !node.hidden);
  const at = cards.indexOf(document.activeElement);
  if (at < 0 || cards.length === 0) return;
  const columns = cards.filter((node) => node.offsetTop === cards[0].offsetTop).length;
  const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns}[event.key];
  if (!step || !cards[at + step]) return;
  event.preventDefault();
  cards[at + step].focus();
}

export function overview() {
  const stats = statLine();
  const filter = el('input', {type: 'search', class: 'filter', placeholder: 'Filter pools',
    'aria-label': 'Filter pools by name', autocomplete: 'off', spellcheck: 'false'});
  const grid = el('div', {class: 'grid', 'aria-label': 'Pools'});
  const alarms = el('div', {class: 'alarms', role: 'status'});
  const empty = el('p', {class: 'quiet', text: 'Loading…'});
  const more = el('button', {class: 'more', type: 'button', hidden: true, text: 'Show more'});
  const node = el('div', {class: 'page'},
    el('div', {class: 'head'}, el('h1', {text: 'Pools'}), el('span', {class: 'spacer'}), filter),
    alarms, stats.node, grid, empty, more);
  const sparks = sparkLoader();
  let limit = 100;
  let state = null;

  const render = () => {
    const wanted = filter.value.trim().toLowerCase();
    const shown = state.pools.filter((pool) => pool.id.includes(wanted));
    stats.update(state);
    keyed(alarms, state.conditions.filter((c) => c.status === 'FALSE'), (c) => c.type,
      () => el('p', {class: 'alarm'}), (p, c) => setText(p, `${c.type}: ${c.message || c.reason}`));
    keyed(grid, shown, (pool) => pool.id, (pool) => {
      const made = card(pool);
      sparks.add(made);
      return made;
    }, updateCard);
    empty.hidden = shown.length > 0;
    setText(empty, state.pools_total === 0
      ? 'There is no pool yet. shadowctl apply -f FILE makes one.' : 'No pool has such a name.');
    more.hidden = state.pools.length >= state.pools_total;
    setText(more, `Show more (${number(state.pools_total - state.pools.length)} hidden)`);
  };
  const load = gently(async () => {
    const answer = await get(`state?limit=${limit}`);
    if (!answer) return;
    state = answer;
    render();
  }, 400);
  filter.addEventListener('input', () => state && render());
  more.addEventListener('click', () => {
    limit = Math.min(limit * 2, 1000);
    load();
  });
  grid.addEventListener('keydown', (event) => moveFocus(event, grid));
  return {node, filter, refresh: load, changed: load, tick: sparks.tick, close: sparks.close};
}
