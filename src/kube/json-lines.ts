// Cuts a byte stream into lines of JSON, wherever the chunks happen to end. A line that cannot be parsed is an error:
// dropping it would lose a change for good.

/** @throws SyntaxError for a line that is not JSON, also for a last line that was cut off */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let parts: string[] = [];
  for await (const chunk of chunks) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    const last = lines.pop() ?? "";
    for (const line of lines) {
      const whole = parts.join("") + line;
      parts = [];
      if (whole.trim() !== "") yield JSON.parse(whole);
    }
    if (last !== "") parts.push(last);
  }
  const rest = parts.join("") + decoder.decode();
  if (rest.trim() !== "") yield JSON.parse(rest);
}
