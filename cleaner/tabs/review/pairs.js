// The most confused pairs; a click shows their images.
import { make, near } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {{ pairs: [actual: string, predicted: string, count: number][], empty: string }} View
 */

const root = element.querySelector('.pairs');
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  root.replaceChildren();
  if (!view) return;
  if (!view.pairs.length) {
    if (view.empty) root.append(make('p', 'empty', view.empty));
    return;
  }
  const list = make('div', 'list');
  view.pairs.forEach(([actual, predicted, count], index) => {
    const button = make('button', 'act');
    button.dataset.index = String(index);
    button.append(make('span', 'count', count + ' ×'), make('span', '', actual + ' taken for ' + predicted));
    list.append(button);
  });
  root.append(list);
};
element.addEventListener('click', (event) => {
  const button = near(event, 'button[data-index]');
  if (!button) return;
  const [actual, predicted] = props.value.pairs[Number(button.dataset.index)];
  trigger('choose', { kind: 'cell', first: actual, second: predicted });
});
watch('value', draw);
draw();
