// A picture fits the page; a click shows it as large as it is, and back.
document.addEventListener("click", (event) => {
  const picture = event.target.closest("div.cell_output img");
  if (picture) picture.classList.toggle("large");
});
