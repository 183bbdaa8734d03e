metadata description = 'Invoke REST API: a resource group with all that the service needs.'

targetScope = 'subscription'

import { principalTypes, resourceNames } from 'types.bicep'

@minLength(1)
@maxLength(64)
@description('Name of the environment; names of resources are derived from it.')
param environmentName string

@minLength(1)
@description('Region of all resources, one that offers Flex Consumption.')
param location string

@description('Name of the resource group; empty: derived from the environment.')
param resourceGroupName string = ''

@description('Names of resources that are not to be derived.')
param names resourceNames = {}

@description('Tags of every resource.')
param tags object = {}

@description('Object id of whoever deploys, for the right to write secrets; empty: nobody is given it.')
param principalId string = ''

@description('What principalId is the id of.')
param principalType principalTypes = 'User'

@description('The service connections, as JSON; infra/connections.json is the place for them.')
param serviceConnections string = loadTextContent('connections.json')

@description('Settings that connections refer to and whose values are secrets: name of the setting, name of the secret in the vault.')
param secretSettings object = {}

@description('Further settings, and those of the service that are to differ from their defaults: names with texts. No secrets.')
param appSettings object = {}

@description('Where the service is reached, if not by the host name of the app.')
param publicBaseUrl string = ''

@description('Whether the vault also holds the state key before, while one is rotated.')
param keepPreviousStateKey bool = false

@description('Version of Python.')
param pythonVersion string = '3.13'

@allowed([512, 2048, 4096])
@description('Memory of one instance, in MB.')
param instanceMemoryMB int = 2048

@minValue(1)
@maxValue(1000)
@description('Most instances of one group of functions; bursts may exceed it.')
param maximumInstanceCount int = 40

@minValue(1)
@maxValue(1000)
@description('HTTP requests for one instance before another is started; kept below MAX_CONCURRENT_INVOCATIONS.')
param httpPerInstanceConcurrency int = 200

@minValue(0)
@description('Instances that wait for HTTP requests at all times; each costs money at all times.')
param alwaysReadyHttp int = 0

@description('Whether instances and storage are spread over the zones of the region.')
param zoneRedundant bool = false

@description('Redundancy of the storage account, such as Standard_LRS or Standard_ZRS.')
param storageSku string = zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'

@description('Whether storage and vault are reached through a private network only.')
param vnetEnabled bool = false

@description('Addresses of that network, a range of at least /23 that no network beside it uses.')
param vnetAddressPrefix string = '10.0.0.0/16'

@description('With a private network: an address or range that reaches storage and vault all the same; empty: none.')
param operatorIpAddress string = ''

@description('Whether a deleted vault is kept from being purged; its name then stays taken for a week.')
param vaultPurgeProtection bool = false

@minValue(30)
@maxValue(730)
@description('Days that logs are kept.')
param logRetentionDays int = 30

@description('GB of logs a day after which no more are taken in; -1: without limit.')
param dailyLogCapGb int = 1

@description('Whether every read and write of the tables is logged, which multiplies the logs.')
param storageAuditEnabled bool = false

@description('Who is told of failures, an e-mail address; empty: no alerts.')
param alertEmail string = ''

@description('Client id of the Entra ID application that callers sign in to; empty: no sign-in, keys alone.')
param authClientId string = ''

@description('Tenant of that application; empty: the tenant of the subscription.')
param authTenantId string = ''

@description('Paths that need no sign-in: health, and what external services call with a token of their own. With and without the wildcard, for either reading of it.')
param excludedAuthPaths array = ['/api/health', '/azdo', '/azdo/*']

var abbreviations = loadJsonContent('abbreviations.json')
var allTags = union(tags, { 'azd-env-name': environmentName })

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: empty(resourceGroupName) ? '${abbreviations.resourcesResourceGroups}${environmentName}' : resourceGroupName
  location: location
  tags: allTags
}

module resources 'resources.bicep' = {
  scope: group
  name: 'invoke-rest-api'
  params: {
    environmentName: environmentName
    location: location
    resourceToken: toLower(uniqueString(subscription().id, environmentName, location))
    names: names
    tags: tags
    principalId: principalId
    principalType: principalType
    serviceConnections: serviceConnections
    secretSettings: secretSettings
    appSettings: appSettings
    publicBaseUrl: publicBaseUrl
    keepPreviousStateKey: keepPreviousStateKey
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpPerInstanceConcurrency: httpPerInstanceConcurrency
    alwaysReadyHttp: alwaysReadyHttp
    zoneRedundant: zoneRedundant
    storageSku: storageSku
    vnetEnabled: vnetEnabled
    vnetAddressPrefix: vnetAddressPrefix
    operatorIpAddress: operatorIpAddress
    vaultPurgeProtection: vaultPurgeProtection
    logRetentionDays: logRetentionDays
    dailyLogCapGb: dailyLogCapGb
    storageAuditEnabled: storageAuditEnabled
    alertEmail: alertEmail
    authClientId: authClientId
    authTenantId: authTenantId
    excludedAuthPaths: excludedAuthPaths
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = subscription().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_NAME string = resources.outputs.AZURE_FUNCTION_NAME
output SERVICE_API_NAME string = resources.outputs.AZURE_FUNCTION_NAME
output SERVICE_API_URI string = resources.outputs.SERVICE_API_URI
output SERVICE_API_IDENTITY_PRINCIPAL_ID string = resources.outputs.SERVICE_API_IDENTITY_PRINCIPAL_ID
output AZURE_KEY_VAULT_NAME string = resources.outputs.AZURE_KEY_VAULT_NAME
output AZURE_STORAGE_TABLE_ENDPOINT string = resources.outputs.AZURE_STORAGE_TABLE_ENDPOINT
