/** Parts of the `User-Agent` by which chats, networks and forums fetch a link to draw a preview of it. */
const NAMES = [
  'Bluesky Cardyb',
  'BingPreview',
  'Discordbot',
  'Discourse Forum Onebox',
  'Embedly',
  'Facebot',
  // iMessage and LINE use this too.
  'facebookexternalhit',
  'Flipboard',
  'Google-PageRenderer',
  'developers.google.com/+/web/snippet',
  'Iframely',
  'kakaotalk-scrap',
  'LinkedInBot',
  'Mastodon/',
  'Mattermost-Bot',
  'Misskey/',
  'NotionEmbedder',
  'Pinterest',
  'Pleroma',
  'redditbot',
  'Rocket.Chat',
  'SkypeUriPreview',
  'Slackbot',
  'Slack-ImgProxy',
  'Snap URL Preview',
  // Matrix.
  'Synapse (bot',
  'TelegramBot',
  'Tumblr/',
  'Twitterbot',
  'Viber/',
  'vkShare',
  // Signal uses this too.
  'WhatsApp/',
  'XING-contenttabreceiver',
  'ZulipURLPreview',
] as const

/** Matches the `User-Agent` of a known preview. */
export const UNFURLERS = new RegExp(
  NAMES.map((name) => name.replaceAll(/[.+()]/g, (character) => `\\${character}`)).join('|'),
  'i',
)
