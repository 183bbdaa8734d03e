metadata description = 'What somebody has to look at. A 424 tells a pipeline that its task failed, which is no failure of the service.'

param email string
param functionAppName string
param groupName string
param location string
param tags object
param workspaceId string

var rules = [
  {
    name: 'failed-requests'
    text: 'The service answered with 500 and above, or work in the background failed.'
    // Functions without HTTP have no status: their result code is 0.
    query: 'AppRequests | where AppRoleName =~ "${functionAppName}" | extend status = toint(ResultCode) | where status >= 500 or (Success == false and status < 100)'
    operator: 'GreaterThan'
    threshold: 0
    severity: 2
  }
  {
    name: 'silent-timer'
    text: 'What is due was not looked at for a quarter of an hour; it is once a minute.'
    query: 'AppRequests | where AppRoleName =~ "${functionAppName}" | where OperationName == "alarms_due"'
    operator: 'LessThan'
    threshold: 1
    severity: 1
  }
  {
    name: 'unresolved-references'
    text: 'A setting refers to a secret that the app could not read.'
    query: 'AppTraces | where AppRoleName =~ "${functionAppName}" | where Message has "Key Vault reference that was not resolved"'
    operator: 'GreaterThan'
    threshold: 0
    severity: 1
  }
]

resource recipients 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: groupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'invoke'
    emailReceivers: [{ name: 'operators', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: '${functionAppName}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${functionAppName}: ${rule.name}'
      description: rule.text
      enabled: true
      severity: rule.severity
      scopes: [workspaceId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      // The tables come into being with the first telemetry.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.operator
            threshold: rule.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [recipients.id] }
    }
  }
]
