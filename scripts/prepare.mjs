// Usage: prepare.mjs, by npm, before the package is packed or linked
// Builds it, and first installs what the build needs where that is missing: `npm i -g FOLDER` does not.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Variables by which npm's own flags would change what is installed here. */
const OF_THE_CALLER = /^npm_config_(?:global|location|prefix|omit|production|dry_run|install_links)$/i

const { npm_config_global: isGlobal, npm_config_install_links: isCopied, npm_execpath: npmFile } = process.env
if (isGlobal === 'true' && isCopied !== 'true' && /_cacache[\\/]tmp[\\/]git-clone/.test(process.cwd())) {
  // npm would then delete this clone, leave a link to it, and say that all went well (npm 7 to 11).
  console.error(
    'npm cannot install a git repository with -g alone. Use: npm i -g "$(npm pack --silent git+https://…)"',
  )
  process.exit(1)
}
if (!existsSync('node_modules/typescript')) npm('ci', '--include=dev', '--ignore-scripts')
npm('run', 'build')

function npm(...args) {
  // npm says by which file it was started; npm.cmd can't be started without a shell.
  if (npmFile === undefined) throw new Error('Expected to be run by npm: npm run prepare')
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_THE_CALLER.test(name)))
  execFileSync(process.execPath, [npmFile, ...args], { env, stdio: ['ignore', 2, 2] })
}
