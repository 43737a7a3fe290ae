/** Attributes that have no property, or not in every browser: `role`, `aria-label`. */
interface Attributes {
  readonly set?: Readonly<Record<string, string>>
}

/** Makes an element. Text becomes text, never HTML. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { set = {}, ...properties }: Partial<HTMLElementTagNameMap[Tag]> & Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  Object.assign(made, properties)
  for (const [name, value] of Object.entries(set)) made.setAttribute(name, value)
  made.append(...children)
  return made
}
