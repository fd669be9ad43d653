/** Changelogs as changesets writes them, without "Updated dependencies": all packages share one version. */
const { default: plain } = require('@changesets/cli/changelog')
module.exports = { getReleaseLine: plain.getReleaseLine, getDependencyReleaseLine: async () => '' }
