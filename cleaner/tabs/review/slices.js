// The error rate by size, source and query; a row shows its images.
import { keepFocus, make, near } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {{ name: string, errors: number, n: number, rate: string, interval: string, worse: boolean }} Row
 * @typedef {{ kind: string, title: string, rows: Row[], more: string }} Group
 */

const root = element.querySelector('.slices');

/** @param {string} kind @param {Row} row */
const line = (kind, row) => {
  const button = make('button', 'act' + (row.worse ? ' worse' : ''));
  Object.assign(button.dataset, { kind, name: row.name });
  button.append(
    make('span', 'name', row.name), make('span', 'quiet', row.errors.toLocaleString('en') + ' of ' + row.n.toLocaleString('en')),
    make('b', '', row.rate), make('span', 'quiet', row.interval),
  );
  button.title = row.name;
  const about = `${row.name}: ${row.errors} of ${row.n} wrong, ${row.rate} (${row.interval})`;
  button.setAttribute('aria-label', about + (row.worse ? ', worse than the others' : ''));
  return button;
};
/** @param {Group} group */
const table = (group) => {
  const box = make('section', 'group');
  const head = make('div', 'head quiet');
  head.append(...[group.title, 'wrong', 'error rate', '95% sure'].map((name) => make('span', '', name)));
  box.append(head, ...group.rows.map((row) => line(group.kind, row)));
  if (group.more) box.append(make('p', 'quiet', group.more));
  return box;
};
const draw = () => {
  const view = props.value;
  if (!view) return root.replaceChildren();
  if (!view.groups.length) return root.replaceChildren(make('p', 'empty', view.empty));
  const groups = make('div', 'groups');
  groups.append(...view.groups.map(table));
  keepFocus(root, () => root.replaceChildren(groups, make('p', 'quiet', view.hint)), '.act');
};
element.addEventListener('click', (event) => {
  const button = near(event, 'button[data-kind]');
  if (button) trigger('choose', { kind: 'slice', first: button.dataset.kind, second: button.dataset.name });
});
watch('value', draw);
draw();
