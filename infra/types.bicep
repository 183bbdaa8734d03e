@export()
@description('Names of resources. One that is missing or empty is derived from the environment.')
type resourceNames = {
  applicationInsights: string?
  functionApp: string?
  identity: string?
  keyVault: string?
  plan: string?

  @description('3 to 24 lower-case letters and digits.')
  storageAccount: string?
  virtualNetwork: string?
  workspace: string?
}

@export()
@description('Whom a role is granted to.')
type principalTypes = 'User' | 'Group' | 'ServicePrincipal'
