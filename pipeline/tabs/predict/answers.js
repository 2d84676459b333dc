// What a model said of many pictures, a page at a time: a row a picture, on a narrow screen a card.
import { keepFocus, make, near, pager, picture } from '../page/common.js';

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} label
 * @property {string} probability
 * @property {string} remark
 * @property {string | null} thumbnail
 * @property {boolean} failed
 * @property {boolean} strange
 */

const root = element.querySelector('.answers');
const NAMES = ['picture', 'answer', 'probability', 'remark'];

/** @param {string} label @param {string} text @param {string} [className] */
const cell = (label, text, className) => {
  const node = make('td', className, text);
  node.dataset.label = label;
  return node;
};
/** @param {Row} one */
const row = (one) => {
  const line = make('tr', one.failed ? 'failed' : one.strange ? 'strange' : '');
  const [name, both] = [make('th'), make('div', 'name')];
  name.scope = 'row';
  both.append(one.thumbnail ? picture(one.thumbnail, '') : make('span', 'blank'), make('span', '', one.name));
  name.append(both);
  line.append(name, cell(NAMES[1], one.label, 'label'), cell(NAMES[2], one.probability, 'number'), cell(NAMES[3], one.remark));
  return line;
};
const draw = () => {
  const view = props.value;
  root.replaceChildren();
  if (!view || !view.rows) return;
  const [scroll, table, head, body] = [make('div', 'scroll'), make('table'), make('thead'), make('tbody')];
  const line = make('tr');
  for (const name of NAMES) {
    const node = make('th', name === 'probability' ? 'number' : '', name);
    node.scope = 'col';
    line.append(node);
  }
  head.append(line);
  body.append(...view.rows.map(row));
  table.append(head, body);
  scroll.append(table);
  root.append(make('p', 'words', view.words), scroll);
  if (view.pages > 1) root.append(pager(view));
};
element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button) return;
  const step = { back: -1, on: 1 }[button.dataset.do ?? ''];
  if (step) trigger('turn', { page: props.value.page + step });
});
watch('value', () => keepFocus(root, draw, 'button'));
draw();
