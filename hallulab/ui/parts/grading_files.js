async () => {
  // The file is read here and lands in the text box: nothing is written on the server.
  const input = document.createElement("input");
  input.type = "file";
  input.accept = ".jsonl,.json,.txt,.ndjson";
  const file = await new Promise((resolve) => {
    input.addEventListener("change", () => resolve(input.files[0] ?? null));
    input.addEventListener("cancel", () => resolve(null));
    input.click();
  });
  return file ? await file.slice(0, 4 * MAX_CHARACTERS + 4).text() : "";
}
