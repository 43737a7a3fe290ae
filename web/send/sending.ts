/** All that is needed when a person presses the button, and not before: see `main.ts`. */
export { Panel } from './panel.js'
export { parcelOf, textParcel } from './parcel.js'
export { transfer } from './transfer.js'
