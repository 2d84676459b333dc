// The reliability curve: how often an answer is right (up) by how sure it was (across); a bin shows its images.
import { keepFocus, make, near, svg } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {object} Bin  answers that were about as sure
 * @property {number} number
 * @property {number} from
 * @property {number} to
 * @property {number} n
 * @property {number} said
 * @property {number} right
 * @property {number} low
 * @property {number} high
 * 
 * @typedef {{ words: string, hint: string, empty: string, bins: Bin[] }} View
 */

const root = element.querySelector('.calibration');
const [SIZE, LEFT, TOP, BOTTOM, COUNTS] = [300, 40, 10, 34, 46];
const [WIDTH, HEIGHT] = [LEFT + SIZE + 22, TOP + SIZE + COUNTS + BOTTOM];
const FLOOR = TOP + SIZE + COUNTS; // where the counts stand on

/** @param {number} share */
const x = (share) => LEFT + SIZE * share;
/** @param {number} share */
const y = (share) => TOP + SIZE * (1 - share);
/** @param {Bin} bin */
const range = (bin) => Math.round(100 * bin.from) + ' to ' + Math.round(100 * bin.to) + '%';
/** @param {number} share */
const points = (share) => (100 * share).toFixed(1) + '%';
/** @param {Bin} bin */
const words = (bin) =>
  `said with ${range(bin)}: ${bin.n.toLocaleString('en')}, of these ${points(bin.right)} right ` +
  `(${points(bin.low)} to ${points(bin.high)})`;

const grid = () => {
  const box = svg('g', { class: 'grid' });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    box.append(svg('line', { x1: x(0), x2: x(1), y1: y(share), y2: y(share) }));
    box.append(svg('text', { x: LEFT - 6, y: y(share) + 4, 'text-anchor': 'end' }, 100 * share + '%'));
    box.append(svg('text', { x: x(share), y: FLOOR + 14, 'text-anchor': 'middle' }, 100 * share + '%'));
  }
  box.append(svg('text', { x: x(1), y: FLOOR + 29, 'text-anchor': 'end' }, 'how sure it was'));
  box.append(svg('text', { x: x(0) + 4, y: TOP + 12 }, 'came true'));
  box.append(svg('line', { class: 'ideal', x1: x(0), x2: x(1), y1: y(0), y2: y(1) }));
  return box;
};
/** @param {Bin} bin @param {number} most */
const column = (bin, most) => {
  const box = svg('g', { class: 'bin', 'data-bin': bin.number });
  const [left, width] = [x(bin.from), x(bin.to) - x(bin.from)];
  const high = bin.n ? Math.max(1.5, ((COUNTS - 10) * bin.n) / most) : 0;
  box.append(svg('rect', { class: 'area', x: left, y: TOP, width, height: SIZE + COUNTS }));
  box.append(svg('rect', { class: 'count', x: left + 2, y: FLOOR - high, width: width - 4, height: high }));
  if (!bin.n) return box;
  box.append(svg('line', { class: 'interval', x1: x(bin.said), x2: x(bin.said), y1: y(bin.low), y2: y(bin.high) }));
  box.append(svg('circle', { cx: x(bin.said), cy: y(bin.right), r: 4.5 }));
  box.append(svg('title', {}, words(bin)));
  return box;
};
/** @param {View} view */
const curve = (view) => {
  const some = view.bins.filter((bin) => bin.n);
  const most = Math.max(...some.map((bin) => bin.n));
  const node = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': view.words });
  node.append(grid());
  node.append(svg('polyline', { points: some.map((bin) => x(bin.said) + ',' + y(bin.right)).join(' ') }));
  node.append(...view.bins.map((bin) => column(bin, most)));
  return node;
};
/** @param {View} view */
const list = (view) => {
  const box = make('div', 'bins');
  for (const bin of view.bins.filter((one) => one.n).reverse()) {
    const button = make('button', 'act');
    button.dataset.bin = String(bin.number);
    button.append(
      make('span', '', range(bin)), make('span', 'quiet', bin.n.toLocaleString('en')), make('b', '', points(bin.right)),
      make('span', 'quiet', points(bin.low).slice(0, -1) + '–' + points(bin.high)),
    );
    button.setAttribute('aria-label', words(bin));
    box.append(button);
  }
  const head = make('div', 'head quiet');
  head.append(...['said with', 'how many', 'came true', '95% sure'].map((name) => make('span', '', name)));
  box.prepend(head);
  return box;
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  if (!view || !view.bins.length) return root.replaceChildren(...(view?.empty ? [make('p', 'empty', view.empty)] : []));
  const sides = make('div', 'sides');
  sides.append(curve(view), list(view));
  keepFocus(root, () => root.replaceChildren(make('p', '', view.words), sides, make('p', 'quiet', view.hint)), '.act');
};
element.addEventListener('click', (event) => {
  const bin = near(event, '[data-bin]')?.dataset.bin;
  if (bin && props.value.bins[+bin].n) trigger('choose', { kind: 'bin', first: bin, second: '' });
});
watch('value', draw);
draw();
