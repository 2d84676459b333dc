// A page of pictures with what the run made of them; a click asks for the picture in large.
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
    ...(two ? [] : [line('loss', row.loss.toFixed(2))]),
  );
  button.append(image, words);
  return button;
};

const draw = () => {
  const view = props.value;
  root.replaceChildren();
  if (!view) return;
  if (view.title) root.append(make('p', 'title', view.title));
  if (!view.rows.length) {
    if (view.empty) root.append(make('p', 'empty', view.empty));
    return;
  }
  const grid = make('div', 'grid');
  grid.append(...view.rows.map(card));
  root.append(grid);
  if (view.pages > 1) root.append(pager(view));
};

element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || button.disabled) return;
  if (button.dataset.id) trigger('open', { id: button.dataset.id });
  else if (button.dataset.do) {
    const { actual, predicted, page } = props.value;
    trigger('turn', { page: page + (button.dataset.do === 'on' ? 1 : -1), actual, predicted });
  }
});
watch('value', draw);
draw();
