// The picture of a pool on one time axis, as SVG: demand, the forecast's bands, capacity, "now".

import {svg} from './dom.js';
import {clock, day, now, number, zoneOffset} from './words.js';

export const PAD = {top: 24, right: 14, bottom: 36, left: 52};

function niceStep(range, parts) {
  const raw = range / Math.max(1, parts);
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= raw);
}

function line(points, x, y) {
  return points.length ? `M${points.map(([t, v]) => `${x(t)},${y(v)}`).join('L')}` : '';
}

// Pieces without the holes where steps are missing.
function pieces(points, gap) {
  const list = [];
  for (const point of points) {
    const last = list.at(-1);
    if (last && point[0] - last.at(-1)[0] <= gap) last.push(point);
    else list.push([point]);
  }
  return list;
}

function steps(points, end, x, y) {
  if (!points.length) return '';
  let path = `M${x(points[0][0])},${y(points[0][1])}`;
  for (const [time, value] of points.slice(1)) path += `H${x(time)}V${y(value)}`;
  return `${path}H${x(end)}`;
}

function band(points, low, high, x, y) {
  if (points.length < 2) return '';
  const up = points.map((point) => `${x(point[0])},${y(point[high])}`);
  const down = points.map((point) => `${x(point[0])},${y(point[low])}`).reverse();
  return `M${up.join('L')}L${down.join('L')}Z`;
}

// The last entry at or before `time`; null: none.
export function before(points, time) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= time) low = middle + 1;
    else high = middle;
  }
  return low ? points[low - 1] : null;
}

export function within(points, time, reach) {
  const found = before(points, time);
  return found && time - found[0] < reach ? found : null;
}

// What demand at the service level takes: the base, and whole instances.
export function needed(data) {
  const at = data.forecast.quantiles.indexOf(data.service_level);
  if (at < 0 || !(data.instance_capacity > 0)) return [];
  return data.forecast.points.map((point) => {
    const missing = Math.max(0, point[at + 1] - data.base_capacity);
    const count = Math.ceil(missing / data.instance_capacity - 1e-9);
    return [point[0], data.base_capacity + count * data.instance_capacity];
  });
}

// What is shown of `data`, `reach` seconds to each side of now, and where it goes in a picture.
export function scalesOf(data, reach, width, height) {
  const start = now() - reach;
  const end = now() + reach;
  const shown = (points) => points.filter(([time]) => time >= start && time <= end);
  const history = shown(data.history);
  const forecast = shown(data.forecast.points);
  const ahead = shown(needed(data));
  const held = before(data.capacity, start);
  const capacity = shown(data.capacity);
  if (held) capacity.unshift([start, held[1], held[2]]);
  const high = data.forecast.quantiles.indexOf(0.95) + 1;
  const values = [...history.map((p) => p[1]), ...forecast.map((p) => high ? p[high] : p[1]),
    ...capacity.map((p) => Math.max(p[1], p[2])), ...ahead.map((p) => p[1])];
  let top = 0;
  for (const value of values) top = Math.max(top, value);
  if (top <= 1e-6) top = 1;
  const step = niceStep(top * 1.05, height > 260 ? 5 : 4);
  const ceiling = Math.ceil(top * 1.05 / step) * step;
  const x = (time) => Number((PAD.left + (Math.min(end, Math.max(start, time)) - start) /
    (end - start) * (width - PAD.left - PAD.right)).toFixed(1));
  const y = (value) => Number((height - PAD.bottom - Math.min(Math.max(value, 0), ceiling) /
    ceiling * (height - PAD.top - PAD.bottom)).toFixed(1));
  return {width, height, start, end, x, y, step, ceiling, history, forecast, ahead, capacity};
}

function drawAxes(data, s, root) {
  for (let value = 0; value <= s.ceiling * 1.0001; value += s.step) {
    root.append(svg('line', {class: 'rule', x1: PAD.left, x2: s.width - PAD.right,
      y1: s.y(value), y2: s.y(value)}),
      svg('text', {class: 'tick', x: PAD.left - 8, y: s.y(value) + 4, 'text-anchor': 'end',
        text: number(value)}));
  }
  const hours = [1, 2, 3, 4, 6, 8, 12, 24].find((h) =>
    (s.width - PAD.left) / ((s.end - s.start) / (h * 3600)) >= 56) ?? 24;
  const zone = data.time_zone;
  const stride = hours * 3600;
  const shift = zoneOffset(now(), zone);
  for (let t = Math.ceil((s.start + shift) / stride) * stride - shift; t < s.end; t += stride) {
    const x = s.x(t);
    if (x < PAD.left + 12 || x > s.width - PAD.right - 12) continue;
    const midnight = clock(t, zone) === '00:00';
    root.append(svg('line', {class: midnight ? 'rule day' : 'rule', x1: x, x2: x, y1: PAD.top,
      y2: s.height - PAD.bottom}), svg('text', {class: 'tick', x, 'text-anchor': 'middle',
      y: s.height - PAD.bottom + 16, text: clock(t, zone)}));
    if (midnight) {
      root.append(svg('text', {class: 'tick strong', x, 'text-anchor': 'middle',
        y: s.height - PAD.bottom + 30, text: day(t, zone)}));
    }
  }
}

function drawLayers(data, s, root) {
  const {x, y} = s;
  const path = (cls, d) => d && root.append(svg('path', {class: cls, d}));
  const middle = x(now());
  root.append(svg('rect', {class: 'future', x: middle, y: PAD.top,
    width: Math.max(0, s.width - PAD.right - middle), height: s.height - PAD.top - PAD.bottom}));
  const active = s.capacity.map((p) => [p[0], p[2]]);
  const ready = s.capacity.map((p) => [p[0], p[1]]);
  const outline = steps(active, now(), x, y);
  if (outline) path('active-area', `${outline}V${y(0)}H${x(active[0][0])}Z`);
  const column = (q) => data.forecast.quantiles.indexOf(q) + 1;
  path('band', band(s.forecast, column(0.05), column(0.95), x, y));
  path('band inner', band(s.forecast, column(0.25), column(0.75), x, y));
  path('needed', steps(s.ahead, s.ahead.length ? s.end : 0, x, y));
  path('ready', steps(ready, now(), x, y));
  path('active', outline);
  path('forecast', line(s.forecast.map((p) => [p[0], p[column(0.5)]]), x, y));
  for (const piece of pieces(s.history, data.step * 3)) path('demand', line(piece, x, y));
  root.append(svg('line', {class: 'now', x1: middle, x2: middle, y1: PAD.top - 6,
    y2: s.height - PAD.bottom}),
    svg('text', {class: 'now-text', x: middle, y: PAD.top - 10, 'text-anchor': 'middle',
      text: 'now'}));
}

export function picture(data, s) {
  const root = svg('svg', {class: 'plot', viewBox: `0 0 ${s.width} ${s.height}`,
    width: s.width, height: s.height, 'aria-hidden': 'true'});
  drawAxes(data, s, root);
  drawLayers(data, s, root);
  return root;
}
