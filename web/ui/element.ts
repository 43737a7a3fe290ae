/** What an element is made of besides its properties. */
interface More {
  /** Attributes that have no property, such as `role`. */
  readonly attributes?: Readonly<Record<string, string>>
}

/** Makes an element. Text becomes text, never HTML. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { attributes = {}, ...properties }: Partial<HTMLElementTagNameMap[Tag]> & More = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  Object.assign(made, properties)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}
