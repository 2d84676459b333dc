// A page of pictures with what the run made of them; a click asks for the picture in large.
import { keepFocus, make, near, pager, percent, picture, switchOf } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {object} Row
 * @property {string} id
 * @property {string | null} thumbnail
 * @property {string} actual
 * @property {string} predicted
 * @property {string} [before]  what another run said of it
 * @property {number} probability
 * @property {number} loss
 * @property {number} [margin]
 * 
 * @typedef {object} View
 * @property {string} kind
 * @property {string} title
 * @property {string} empty
 * @property {Row[]} rows
 * @property {number} page
 * @property {number} pages
 * @property {[string, string][]} orders
 * @property {boolean} [still]
 */

const root = element.querySelector('.pictures');

/** @param {string} name @param {string} value @param {string} [className] */
const line = (name, value, className) => {
  const box = make('span', className);
  box.append(make('span', 'quiet', name + ' '), make('b', '', value));
  box.title = name + ' ' + value;
  return box;
};
/** @param {Row} row */
const card = (row) => {
  const button = make('button', 'card');
  button.dataset.id = row.id;
  const image = picture(row.thumbnail, row.actual + ', taken for ' + row.predicted);
  image.loading = 'lazy';
  const words = make('span', 'words');
  const answer = (/** @type {string} */ name, /** @type {string} */ said) => line(name, said, said === row.actual ? '' : 'wrong');
  const { before } = row;
  const two = before !== undefined; // what two runs said of it
  words.append(
    line('actual', row.actual),
    ...(two ? [answer('before', before)] : []),
    answer(two ? 'after' : 'predicted', row.predicted),
    line('probability', percent(row.probability)),
    ...(two ? [] : [row.margin === undefined ? line('loss', row.loss.toFixed(2)) : line('margin', percent(row.margin))]),
  );
  if (!two && row.margin === undefined && row.predicted === row.actual) words.append(make('span', 'quiet', 'right, but unsure'));
  button.append(image, words);
  return button;
};
/** @type {Record<string, string>} */
const HINTS = {
  worst: 'Where the model gave the label the least probability: what it is surely wrong about first, then what it has right, but unsurely.',
  unsure: 'Where little would change the answer: the margin lies between the two likeliest classes, or to a threshold.',
};
/** @param {View} view */
const orders = (view) => [
  switchOf('Which pictures come first', view.orders, view.kind),
  make('p', 'quiet', HINTS[view.kind]),
];
/** @param {View} view */
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
  /** @type {View | null} */
  const view = props.value;
  keepFocus(root, () => root.replaceChildren(...(view ? parts(view) : [])), '.card');
  const asked = (view && view.title) || '';
  if (asked && asked !== title && !view?.still) root.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
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
