export { withResolvers } from '../../shared/with-resolvers.js'
