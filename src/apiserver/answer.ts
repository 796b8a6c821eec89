// What a handler answers with; the HTTP of it is in serve.ts.

export interface Answer {
  code: number;
  body: string;
  media: "application/json" | "text/plain; charset=utf-8";
}

export const json = (value: object, code = 200): Answer => ({
  code,
  body: JSON.stringify(value),
  media: "application/json",
});
export const plain = (code: number, body: string): Answer => ({ code, body, media: "text/plain; charset=utf-8" });
