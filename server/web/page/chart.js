// The chart of one pool: its picture, and a cursor that tells the values at a time, by pointer and
// by keyboard.

import {el, setText, svg} from './dom.js';
import {before, needed, PAD, picture, scalesOf, within} from './plot.js';
import {full, now, number, percent} from './words.js';

const LEGEND = [
  ['demand', 'Demand'], ['forecast', 'Forecast, median'], ['band', 'Forecast, 5 to 95 %'],
  ['active', 'Active capacity'], ['ready', 'Ready capacity'], ['needed', 'Needed ahead']];


// What is known at `time`: [key, name, text, value for a spot on the picture].
function known(data, time) {
  const list = [];
  const add = (key, name, value) => Number.isFinite(value) &&
    list.push([key, name, number(value), value]);
  if (time <= now()) {
    add('demand', 'Demand', within(data.history, time, data.step * 2)?.[1]);
    const held = before(data.capacity, time);
    add('active', 'Active capacity', held?.[2]);
    add('ready', 'Ready capacity', held?.[1]);
    return list;
  }
  const ahead = within(data.forecast.points, time, data.step * 2);
  if (!ahead) return list;
  const at = (quantile) => ahead[data.forecast.quantiles.indexOf(quantile) + 1];
  add('forecast', 'Median', at(0.5));
  list.push(['band', '5 to 95 %', `${number(at(0.05))} – ${number(at(0.95))}`]);
  add('needed', 'Needed ahead', within(needed(data), time, data.step * 2)?.[1]);
  return list;
}

function captionOf(data) {
  const parts = [`${data.unit || 'Demand'}, times in ${data.time_zone}`];
  if (data.service_level > 0) parts.push(`needed at ${percent(data.service_level)}`);
  if (data.error) parts.push(data.error);
  else if (data.trust && data.trust !== 'TRUSTED') parts.push(`forecast: ${data.trust_reason}`);
  return parts.join(' · ');
}

// A line through the picture, and the values there. `box` tells them to screen readers.
class Cursor {
  constructor(box) {
    this.box = box;
    this.time = null;
    this.tip = el('div', {class: 'tip', hidden: true});
    this.line = svg('line', {class: 'mark'});
    this.spots = svg('g', {});
    box.append(this.tip);
  }

  // After a new picture.
  enter(root, data, scales) {
    this.data = data;
    this.scales = scales;
    root.append(this.line, this.spots);
    this.show();
  }

  move(time) {
    this.time = time;
    if (this.scales) this.show();
  }

  show() {
    const {scales, tip} = this;
    tip.hidden = this.time === null;
    this.line.setAttribute('visibility', this.time === null ? 'hidden' : 'visible');
    if (this.time === null) return this.spots.replaceChildren();
    this.time = Math.min(scales.end, Math.max(scales.start, this.time));
    const x = scales.x(this.time);
    const rows = known(this.data, this.time);
    const ends = {x1: x, x2: x, y1: PAD.top, y2: scales.height - PAD.bottom};
    for (const [name, value] of Object.entries(ends)) this.line.setAttribute(name, value);
    this.spots.replaceChildren(...rows.filter((row) => row.length === 4).map(([key, , , value]) =>
      svg('circle', {class: `spot ${key}`, cx: x, cy: scales.y(value), r: 3.5})));
    const when = full(this.time, this.data.time_zone).replace(/:\d\d$/, '');
    tip.replaceChildren(el('p', {class: 'tip-time', text: when}), ...rows.map(([key, name, text]) =>
      el('p', {}, el('span', {class: `key ${key}`}), el('span', {text: name}), el('b', {text}))));
    if (!rows.length) tip.append(el('p', {text: 'nothing is known'}));
    const left = x + 14 + tip.offsetWidth > scales.width ? x - 14 - tip.offsetWidth : x + 14;
    tip.style.transform = `translate(${Math.max(4, left)}px, ${PAD.top}px)`;
    const words = rows.map(([, name, text]) => `${name} ${text}`).join(', ');
    this.box.setAttribute('aria-valuenow', Math.round((this.time - scales.start) /
      (scales.end - scales.start) * 100));
    this.box.setAttribute('aria-valuetext', `${when}: ${words || 'nothing is known'}`);
  }
}

function listen(box, cursor, stepOf) {
  const point = (event) => {
    const {scales} = cursor;
    if (!scales) return;
    const share = (event.clientX - box.getBoundingClientRect().left - PAD.left) /
      (scales.width - PAD.left - PAD.right);
    cursor.move(scales.start + share * (scales.end - scales.start));
  };
  box.addEventListener('pointermove', point);
  box.addEventListener('pointerdown', point);
  box.addEventListener('pointerleave', () => document.activeElement !== box && cursor.move(null));
  box.addEventListener('focus', () => cursor.time === null && cursor.move(now()));
  box.addEventListener('blur', () => cursor.move(null));
  box.addEventListener('keydown', (event) => {
    const {scales, time} = cursor;
    if (!scales || time === null) return;
    const step = stepOf() * (event.shiftKey ? 12 : 1);
    const to = {ArrowLeft: time - step, ArrowRight: time + step, Home: scales.start,
      End: scales.end, n: now()}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    cursor.move(to);
  });
}

export function chart() {
  const box = el('div', {class: 'chart', tabindex: '0', role: 'slider', 'aria-label':
    'Time on the chart of demand and capacity', 'aria-valuemin': 0, 'aria-valuemax': 100,
  'aria-valuenow': 50, 'aria-valuetext': 'No data yet'});
  const note = el('p', {class: 'chart-note', text: 'Loading…'});
  const legend = el('ul', {class: 'legend'}, ...LEGEND.map(([key, text]) =>
    el('li', {}, el('span', {class: `key ${key}`, 'aria-hidden': 'true'}), el('span', {text}))));
  const caption = el('p', {class: 'caption'});
  box.append(note);
  const cursor = new Cursor(box);
  let data = null;
  let reach = 86400;  // Seconds to each side of now.

  const draw = () => {
    if (!data || box.clientWidth === 0) return;
    const scales = scalesOf(data, reach, Math.max(240, box.clientWidth), box.clientHeight);
    const root = picture(data, scales);
    box.querySelector('svg.plot')?.remove();
    box.prepend(root);
    const none = data.history.length === 0 && data.forecast.points.length === 0;
    note.hidden = !none;
    if (none) setText(note, 'No usage has been reported yet.');
    setText(caption, captionOf(data));
    cursor.enter(root, data, scales);
  };
  listen(box, cursor, () => Math.max(data.step, reach / 96));
  const watcher = new ResizeObserver(draw);
  watcher.observe(box);
  return {
    node: el('div', {}, legend, box, caption),
    update(answer) {
      data = answer;
      draw();
    },
    setReach(seconds) {
      reach = seconds;
      draw();
    },
    draw,
    close: () => watcher.disconnect(),
  };
}
