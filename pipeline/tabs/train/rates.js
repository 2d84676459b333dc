// The loss over the learning rate, which grows tenfold from mark to mark; a click, or Enter, takes a rate.
import { keepFocus, make, near, svg } from '../page/common.js';

/**
 * @typedef {[rate: number, loss: number][]} Curve
 * @typedef {object} View
 * @property {Curve} curve
 * @property {{ rate: number, name: string, words: string }[]} marks
 * @property {number | null} now
 * @property {string} about
 * 
 * @typedef {ReturnType<typeof axes>} Scale
 */

const root = element.querySelector('.rates');
const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [220, 44, 12, 14, 34];
let width = 0;
let at = -1; // the point of the curve that the keys are at

/** @param {number} rate */
const short = (rate) => rate.toExponential(1).replace('.0e', 'e').replace('e-', 'e−');
/** @param {View} view */
const axes = ({ curve }) => {
  const logs = curve.map(([rate]) => Math.log10(rate));
  const losses = curve.map(([, loss]) => loss);
  const [first, last] = [Math.min(...logs), Math.max(...logs)];
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const top = Math.min(high, losses[0] + 0.35 * (losses[0] - low) || high);
  const [across, down] = [width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
  return {
    first, last, low, top,
    x: (/** @type {number} */ rate) => LEFT + (across * (Math.log10(rate) - first)) / (last - first || 1),
    y: (/** @type {number} */ loss) => TOP + down * (1 - (Math.min(loss, top) - low) / (top - low || 1)),
    rate: (/** @type {number} */ x) => 10 ** (first + ((last - first) * Math.min(Math.max(x - LEFT, 0), across)) / across),
  };
};
/** @param {Curve} curve @param {number} rate */
const loss = (curve, rate) => {
  const after = curve.findIndex(([other]) => other >= rate);
  if (after <= 0) return curve[after < 0 ? curve.length - 1 : 0][1];
  const [[a, low], [b, high]] = [curve[after - 1], curve[after]];
  return low + ((high - low) * Math.log(rate / a)) / Math.log(b / a);
};
/** @param {Scale} scale */
const grid = (scale) => {
  const box = svg('g', { class: 'grid' });
  for (const share of [0, 0.5, 1]) {
    const value = scale.low + share * (scale.top - scale.low);
    const y = scale.y(value);
    box.append(svg('line', { x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
    box.append(svg('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, value.toPrecision(3)));
  }
  for (let power = Math.ceil(scale.first - 1e-6); power <= scale.last + 1e-6; power += 1) {
    const x = scale.x(10 ** power);
    box.append(svg('line', { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
    box.append(svg('text', { x, y: HEIGHT - BOTTOM + 16, 'text-anchor': 'middle' }, '1e' + String(power).replace('-', '−')));
  }
  box.append(svg('text', { x: width - RIGHT, y: HEIGHT - 4, 'text-anchor': 'end' }, 'learning rate'));
  box.append(svg('text', { x: 2, y: HEIGHT - 4 }, 'loss'));
  return box;
};
/** @param {Scale} scale @param {Curve} curve @param {number} rate @param {string} name */
const spot = (scale, curve, rate, name) => {
  const box = svg('g', { class: name });
  const x = scale.x(rate);
  box.append(svg('line', { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
  box.append(svg('circle', { cx: x, cy: scale.y(loss(curve, rate)), r: 5 }));
  return box;
};
/** @param {View} view */
const picture_of = (view) => {
  const scale = axes(view);
  const [low, high] = [view.curve[0][0], view.curve[view.curve.length - 1][0]];
  const node = svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT });
  node.append(grid(scale));
  if (view.now !== null && view.now >= low && view.now <= high) node.append(spot(scale, view.curve, view.now, 'now'));
  node.append(svg('polyline', { points: view.curve.map(([rate, value]) => scale.x(rate) + ',' + scale.y(value)).join(' ') }));
  for (const mark of view.marks) node.append(spot(scale, view.curve, mark.rate, mark.name));
  return node;
};
/** @param {number} rate */
const point = (rate) => {
  const plot = root.querySelector('.plot');
  plot.querySelector('.here')?.remove();
  plot.setAttribute('aria-valuenow', String(rate));
  plot.setAttribute('aria-valuetext', short(rate) + ', loss ' + loss(props.value.curve, rate).toPrecision(3));
  const scale = axes(props.value);
  const box = spot(scale, props.value.curve, rate, 'here');
  const [x, middle] = [scale.x(rate), width / 2];
  box.append(svg('text', { x: x + (x > middle ? -8 : 8), y: TOP + 10, 'text-anchor': x > middle ? 'end' : 'start' }, short(rate)));
  plot.querySelector('svg').append(box);
};
/** @param {View} view */
const plot_of = (view) => {
  const plot = make('div', 'plot');
  plot.tabIndex = 0;
  plot.setAttribute('role', 'slider');
  plot.setAttribute('aria-label', 'Learning rate on the curve; Enter takes it');
  plot.setAttribute('aria-valuemin', String(view.curve[0][0]));
  plot.setAttribute('aria-valuemax', String(view.curve[view.curve.length - 1][0]));
  plot.setAttribute('aria-valuenow', String(view.now ?? view.curve[0][0]));
  plot.append(picture_of(view));
  return plot;
};
/** @param {View} view */
const buttons = (view) => {
  const box = make('div', 'buttons');
  for (const mark of view.marks) {
    const button = make('button', 'act ' + mark.name, 'Take ' + short(mark.rate));
    button.append(make('span', 'quiet', mark.words));
    button.dataset.rate = String(mark.rate);
    box.append(button);
  }
  return box;
};
/** @param {View} view */
const whole = (view) => {
  const now = make('p', 'quiet', (view.now ? 'Set now: ' + short(view.now) + '. ' : '') + 'Click the curve to take another.');
  now.setAttribute('role', 'status');
  root.replaceChildren(plot_of(view), buttons(view), now, make('p', 'quiet', 'Found with ' + view.about + '.'));
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  width = Math.floor(element.clientWidth || root.clientWidth);
  if (!view || !view.curve.length || !width) return root.replaceChildren();
  const focused = root.querySelector('.plot') === document.activeElement;
  keepFocus(root, () => whole(view), '.act');
  at = Math.min(at, view.curve.length - 1);
  if (focused) root.querySelector('.plot').focus({ preventScroll: true });
};
/** @param {number} rate */
const take = (rate) => trigger('take', { rate });
/** @param {MouseEvent} event */
const rate_at = (event) => axes(props.value).rate(event.clientX - root.querySelector('svg').getBoundingClientRect().left);

element.addEventListener('pointermove', (event) => {
  if (near(event, '.plot')) point(rate_at(event));
});
element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (button) take(Number(button.dataset.rate));
  else if (near(event, '.plot')) take(rate_at(event));
});
element.addEventListener('keydown', (event) => {
  if (!near(event, '.plot')) return;
  /** @type {View} */
  const { curve, now } = props.value;
  if (at < 0) at = Math.max(0, curve.findIndex(([rate]) => rate >= (now ?? 0)));
  const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: curve.length - 1 }[event.key];
  if (to !== undefined) at = Math.min(Math.max(to, 0), curve.length - 1);
  else if (event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  if (to === undefined) take(curve[at][0]);
  else point(curve[at][0]);
});
new ResizeObserver(() => {
  if (Math.floor(element.clientWidth) !== width) draw();
}).observe(element);
watch('value', draw);
draw();
