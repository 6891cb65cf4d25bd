// A line without axes: demand of the last day, and "now" at its right end.

import {svg} from './dom.js';

const WIDTH = 160;
const HEIGHT = 40;

export function sparkline() {
  const area = svg('path', {class: 'spark-area'});
  const line = svg('path', {class: 'spark-line'});
  const node = svg('svg', {class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none', 'aria-hidden': 'true'}, area, line);
  return {node, update({start, end, points}) {
    if (points.length < 2) {
      area.removeAttribute('d');
      line.removeAttribute('d');
      return;
    }
    const top = Math.max(...points.map(([, value]) => value), 1e-9) * 1.08;
    const at = ([time, value]) => `${((time - start) / (end - start) * WIDTH).toFixed(1)},${
      (HEIGHT - 1 - value / top * (HEIGHT - 2)).toFixed(1)}`;
    const path = `M${points.map(at).join('L')}`;
    line.setAttribute('d', path);
    const x = (point) => at(point).split(',')[0];
    area.setAttribute('d', `${path}L${x(points.at(-1))},${HEIGHT}L${x(points[0])},${HEIGHT}Z`);
  }};
}
