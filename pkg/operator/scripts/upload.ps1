# Makes a Slipway bundle of an ESP-IDF build and pushes it. Works with Windows PowerShell 5 and PowerShell 7. In a CI job:
#   Invoke-WebRequest @BASE_URL@/api/pipeline/upload.ps1 -UseBasicParsing -OutFile upload.ps1
#   .\upload.ps1 -Model MODEL_CODE [-Project FOLDER] [-Url ADDRESS] [-Replace]
# FOLDER is the project's or the build's; the environment's SLIPWAY_TOKEN is a token with the role pipeline for
# the model. A version that is there with other bytes is not replaced: raise it, or use -Replace and an operator's token, as a
# pipeline's does not replace.
@ABOUT_CA@
param(
  [Parameter(Mandatory = $true)][string]$Model,
  [string]$Project = '.',
  [string]$Url = '@BASE_URL@',
  [switch]$Replace
)
$ErrorActionPreference = 'Stop'
if ([Console]::IsOutputRedirected) { $ProgressPreference = 'SilentlyContinue' }
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
$token = "$env:SLIPWAY_TOKEN".Trim()
if (-not $token) { throw "set SLIPWAY_TOKEN to a token of the model: slipway token create --role pipeline --model $Model" }

# The build folder: the one that was named, its build, or the only one in it.
$about = 'project_description.json'
$build = $Project, (Join-Path $Project 'build') | Where-Object { Test-Path (Join-Path $_ $about) } | Select-Object -First 1
if (-not $build) {
  $found = @((Join-Path $Project "*/$about"), (Join-Path $Project ".pio/build/*/$about") | Get-Item -ErrorAction SilentlyContinue)
  if ($found.Count -gt 1) { throw "$Project has several builds, such as $($found[0].DirectoryName) and $($found[1].DirectoryName): name the one to push" }
  if ($found.Count -eq 0) { throw "$Project has no ESP-IDF build ($about): run idf.py build first" }
  $build = $found[0].DirectoryName
}
$description = Get-Content -Raw (Join-Path $build $about) | ConvertFrom-Json

# Find-File is the first of the files that is there: a build may have been made elsewhere, as in a container.
function Find-File([string]$What, [string[]]$Candidates) {
  foreach ($candidate in $Candidates) { if ($candidate -and (Test-Path -PathType Leaf $candidate)) { return (Get-Item $candidate).FullName } }
  throw "$build has no ${What}: looked for $($Candidates -join ', ')"
}
$name = $description.project_name
$bin = if ($description.app_bin) { $description.app_bin } else { "$name.bin" }
$elf = if ($description.app_elf) { $description.app_elf } else { "$name.elf" }
$image = Find-File 'image' @((Join-Path $build $bin), "$($description.build_dir)/$bin", $bin)
$symbols = Find-File 'ELF' @((Join-Path $build $elf), "$($description.build_dir)/$elf", $elf)
$maps = @([IO.Path]::ChangeExtension($symbols, '.map'), (Join-Path $build "$name.map"))
$maps += @(Get-ChildItem (Join-Path $build '*.map') | ForEach-Object { $_.FullName })
$map = Find-File 'map' $maps
$settings = Find-File 'sdkconfig' @($description.config_file, (Join-Path $Project 'sdkconfig'), (Join-Path $build '../sdkconfig'), (Join-Path $build 'sdkconfig'))

# Said is the text in the image's descriptor at an offset.
function Get-Said([int]$Offset) {
  $bytes = [IO.File]::ReadAllBytes($image)
  if ($bytes.Length -lt $Offset + 32) { return '' }
  return [Text.Encoding]::ASCII.GetString($bytes, $Offset, 32).Split([char]0)[0]
}
$version = if ($description.project_version) { $description.project_version } else { Get-Said 48 }
$idf = if ($description.git_revision) { $description.git_revision } else { Get-Said 144 }
$commit = ''
try { $commit = (git -C (Split-Path $settings) rev-parse HEAD 2>$null) } catch { }
if (-not $commit) { $commit = 'unknown' }

$work = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
New-Item -ItemType Directory $work | Out-Null
try {
  Copy-Item $image (Join-Path $work "$Model.bin")
  Copy-Item $symbols (Join-Path $work "$Model.elf")
  Copy-Item $map (Join-Path $work "$Model.map")
  Copy-Item $settings (Join-Path $work 'sdkconfig')
  $versions = @{ git_commit = "$commit"; idf_version = "$idf"; firmware_version = "$version" } | ConvertTo-Json
  [IO.File]::WriteAllText((Join-Path $work 'version.json'), $versions)
  $zip = Join-Path $work 'bundle.zip'
  Add-Type -AssemblyName System.IO.Compression
  Add-Type -AssemblyName System.IO.Compression.FileSystem
  $archive = [IO.Compression.ZipFile]::Open($zip, 'Create')
  foreach ($file in "$Model.bin", "$Model.elf", "$Model.map", 'sdkconfig', 'version.json') {
    [IO.Compression.ZipFileExtensions]::CreateEntryFromFile($archive, (Join-Path $work $file), $file) | Out-Null
  }
  $archive.Dispose()
  $address = "$Url/api/pipeline/models/$Model/firmware"
  if ($Replace) { $address += '?replace=true' }
  try {
    $answer = Invoke-RestMethod -Method Post -Uri $address -InFile $zip -ContentType 'application/zip' -Headers @{ Authorization = "Bearer $token" }
  } catch {
    throw "nothing is pushed: $($_.Exception.Message) $($_.ErrorDetails.Message)"
  }
  if ($answer.code -ne $Model -or -not $answer.firmware_version) { throw "$Url does not answer as a Slipway gateway does: nothing is pushed" }
  foreach ($warning in $answer.warnings) { Write-Warning $warning }
  if (-not $answer.changed) { "$Model $($answer.firmware_version) is there already, nothing changed" }
  elseif ($answer.published) { "$Model $($answer.firmware_version) pushed, devices are offered it now" }
  else { "$Model $($answer.firmware_version) pushed; devices are offered it once it is published" }
} finally {
  Remove-Item -Recurse -Force $work
}
