// A page of pictures with what the run made of them; a click asks for the picture in large.
import { keepFocus, make, near, pager, percent, picture, switchOf } from '../../../pipeline/tabs/page/common.js';

const root = element.querySelector('.pictures');

const line = (name, value, className) => {
  const box = make('span', className);
  box.append(make('span', 'quiet', name + ' '), make('b', '', value));
  box.title = name + ' ' + value;
  return box;
};
const card = (row) => {
  const button = make('button', 'card');
  button.dataset.id = row.id;
  const image = picture(row.thumbnail, row.actual + ', taken for ' + row.predicted);
  image.loading = 'lazy';
  const words = make('span', 'words');
  const answer = (name, said) => line(name, said, said === row.actual ? '' : 'wrong');
  const two = row.before !== undefined; // what two runs said of it
  words.append(
    line('actual', row.actual),
    ...(two ? [answer('before', row.before)] : []),
    answer(two ? 'after' : 'predicted', row.predicted),
    line('probability', percent(row.probability)),
    ...(two ? [] : [row.margin === undefined ? line('loss', row.loss.toFixed(2)) : line('margin', percent(row.margin))]),
  );
  button.append(image, words);
  return button;
};
const HINTS = {
  worst: 'Where the model was most surely wrong.',
  unsure: 'Where little would change the answer: the margin lies between the two likeliest classes, or to a threshold.',
};
const orders = (view) => [
  switchOf('Which pictures come first', view.orders, view.kind),
  make('p', 'quiet', HINTS[view.kind]),
];
const parts = (view) => {
  const list = view.orders.length ? orders(view) : [];
  if (view.title) list.push(make('p', 'title', view.title));
  if (!view.rows.length) return view.empty ? [...list, make('p', 'empty', view.empty)] : list;
  const grid = make('div', 'grid');
  grid.append(...view.rows.map(card));
  list.push(grid);
  if (view.pages > 1) list.push(pager(view));
  return list;
};
let title = '';
const draw = () => {
  const view = props.value;
  keepFocus(root, () => root.replaceChildren(...(view ? parts(view) : [])), '.card');
  const asked = (view && view.title) || '';
  if (asked && asked !== title && !view.still) root.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  title = asked;
};

element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button || button.disabled) return;
  const { kind, first, second, page } = props.value;
  if (button.dataset.id) trigger('open', { id: button.dataset.id });
  else if (button.dataset.way) trigger('turn', { kind: button.dataset.way, first, second, page: 0 });
  else if (button.dataset.do) trigger('turn', { kind, first, second, page: page + (button.dataset.do === 'on' ? 1 : -1) });
});
watch('value', draw);
draw();
