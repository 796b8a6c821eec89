// The scan finds what it is to find, in each of its forms.
import { expect, test } from "vitest";
import { markedSecret, sightingsIn } from "../../support/secret-scan.ts";

const secret = markedSecret("unit");
test.each([
  { form: "plain", text: `password=${secret}` },
  { form: "a Basic header", text: `Basic ${Buffer.from(`user:${secret}`).toString("base64")}` },
  { form: "another Basic header", text: `Basic ${Buffer.from(`me:${secret}`).toString("base64")}` },
  { form: "a third Basic header", text: `Basic ${Buffer.from(`adm:${secret}`).toString("base64")}` },
  { form: "a URL", text: `http://u:${encodeURIComponent(secret)}@host/` },
])("$form", ({ text }) => {
  expect(sightingsIn("here", text, [secret])).toEqual([{ where: "here", secret }]);
});
test("another secret is not this one", () => {
  expect(sightingsIn("here", markedSecret("other"), [secret])).toEqual([]);
});
