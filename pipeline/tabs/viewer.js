// One picture in large, with what is known about it; Escape, the button or a click beside it closes it.
const root = element.querySelector('.viewer');
const dialog = make('dialog');
root.append(dialog);

const answers = (rows) => {
  const box = make('div', 'answers');
  for (const [name, probability] of rows) {
    const track = make('div', 'track');
    const bar = make('div', 'bar');
    bar.style.width = 100 * probability + '%';
    track.append(bar);
    box.append(make('span', '', name), track, make('span', 'quiet', percent(probability)));
  }
  return box;
};
const facts = (rows) => {
  const box = make('dl', 'facts');
  for (const [name, value] of rows) box.append(make('dt', 'quiet', name), make('dd', '', value));
  return box;
};
const draw = () => {
  const view = props.value;
  dialog.replaceChildren();
  if (!view || !view.id) return;
  const below = make('div', 'below');
  const close = make('button', 'act', 'Close');
  close.addEventListener('click', () => dialog.close());
  below.append(make('p', '', view.title), answers(view.answers), facts(view.facts), make('p', 'quiet', view.name), close);
  if (view.large) dialog.append(picture(view.large, view.title));
  else dialog.append(make('p', 'empty', view.trouble));
  dialog.append(below);
  if (!dialog.open) dialog.showModal();
};
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) dialog.close();
});
watch('value', draw);
