/** True on phones and most tablets: they have less memory, and no folders to choose. */
export const IS_PHONE = /\b(?:Mobi|Android|iP(?:hone|ad|od))\b/.test(navigator.userAgent)
