// The reliability curve: how often an answer is right (up) by how sure it was (across); a bin shows its images.
import { keepFocus, make, near } from '../../../pipeline/tabs/page/common.js';

const root = element.querySelector('.calibration');
const [SIZE, LEFT, TOP, BOTTOM, COUNTS] = [300, 40, 10, 34, 46];
const [WIDTH, HEIGHT] = [LEFT + SIZE + 22, TOP + SIZE + COUNTS + BOTTOM];
const FLOOR = TOP + SIZE + COUNTS; // where the counts stand on

const svg = (tag, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const x = (share) => LEFT + SIZE * share;
const y = (share) => TOP + SIZE * (1 - share);
const range = (bin) => Math.round(100 * bin.from) + ' to ' + Math.round(100 * bin.to) + '%';
const points = (share) => (100 * share).toFixed(1) + '%';
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
const curve = (view) => {
  const some = view.bins.filter((bin) => bin.n);
  const most = Math.max(...some.map((bin) => bin.n));
  const node = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': view.words });
  node.append(grid());
  node.append(svg('polyline', { points: some.map((bin) => x(bin.said) + ',' + y(bin.right)).join(' ') }));
  node.append(...view.bins.map((bin) => column(bin, most)));
  return node;
};
const list = (view) => {
  const box = make('div', 'bins');
  for (const bin of view.bins.filter((one) => one.n).reverse()) {
    const button = make('button', 'act');
    button.dataset.bin = bin.number;
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
  const view = props.value;
  if (!view || !view.bins.length) return root.replaceChildren(...(view?.empty ? [make('p', 'empty', view.empty)] : []));
  const sides = make('div', 'sides');
  sides.append(curve(view), list(view));
  keepFocus(root, () => root.replaceChildren(make('p', '', view.words), sides, make('p', 'quiet', view.hint)), '.act');
};
element.addEventListener('click', (event) => {
  const bin = near(event, '[data-bin]');
  if (bin && props.value.bins[+bin.dataset.bin].n) trigger('choose', { kind: 'bin', first: bin.dataset.bin, second: '' });
});
watch('value', draw);
draw();
