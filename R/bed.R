# PLINK 1 files: the genotypes stay in the .bed file (read by bed.h, block by block), markers are
# read from the .bim file as they are needed, samples from the .fam file at once.

bed_source <- function(path, ids, n) {
  files <- bed_files(path)
  fam <- read_fam(files[["fam"]])
  label <- paste0("{.file ", escape_braces(files[["bed"]]), "}")
  lines <- count_lines(files[["bim"]])
  check_bed(files, length(fam), lines)
  source <- list(
    kind = "bed", size = lines, height = length(fam), label = label, path = files[["bed"]],
    bim = files[["bim"]]
  )
  names <- if (identical(fam, as.character(seq_along(fam)))) NULL else fam
  with_rows(source, names, ids, n)
}

# The three files by the path of the first, or by what their names have in common.
bed_files <- function(path) {
  if (length(path) != 1L || is.na(path) || !nzchar(path)) {
    pp_abort("markers", c(
      x = "{.arg markers} must be a matrix or the path of one {.file .bed} file.",
      i = "It is {.obj_type_friendly {path}} of length {length(path)}."
    ))
  }
  stem <- sub("\\.bed$", "", path.expand(path), ignore.case = TRUE)
  bed <- if (grepl("\\.bed$", path, ignore.case = TRUE)) path.expand(path) else paste0(stem, ".bed")
  files <- c(bed = bed, bim = paste0(stem, ".bim"), fam = paste0(stem, ".fam"))
  absent <- files[!file.exists(files) | dir.exists(files)]
  if (length(absent)) {
    pp_abort("markers", c(
      x = "There is no file {.file {unname(absent)}}.",
      i = "The genotypes in {.file {basename(files[['bed']])}} need the markers in {.file .bim} and
           the samples in {.file .fam} beside it."
    ))
  }
  stats::setNames(normalizePath(files), names(files))
}

# Individual identifiers: the second column.
read_fam <- function(path) {
  lines <- readLines(path, warn = FALSE)
  lines <- trimws(lines[nzchar(trimws(lines))])
  fields <- strsplit(lines, "[ \t]+")
  short <- which(lengths(fields) < 2L)
  if (!length(fields) || length(short)) {
    pp_abort("markers", c(
      x = "{.file {path}} is not a {.file .fam} file: a line per sample, with a family and an
           individual identifier first.",
      i = if (length(short)) "Line {short[1L]} has fewer than two fields." else "It is empty."
    ))
  }
  vapply(fields, `[[`, "", 2L)
}

check_bed <- function(files, samples, markers) {
  header <- bed_header(enc2native(files[["bed"]]), samples)
  problem <- switch(header$error,
    "unreadable" = "It cannot be read.",
    "not bed" = "It does not begin as a PLINK 1 {.file .bed} file does.",
    "sample-major" = "Its genotypes are ordered by sample, not by marker.",
    "truncated" = "It is truncated: it ends in the middle of marker {header$markers + 1}, for
                   {samples} sample{?s} in the {.file .fam} file.",
    if (header$markers != markers) {
      "It holds {header$markers} marker{?s} of {samples} samples; the {.file .bim} file has
       {markers}: one of the three files is truncated or belongs to others."
    }
  )
  if (!is.null(problem)) {
    hint <- if (header$error == "sample-major") {
      c(">" = "Convert it: {.code plink --make-bed} writes by marker.")
    }
    pp_abort("markers", c(
      x = "The genotypes in {.file {files[['bed']]}} cannot be used.", i = problem, hint
    ))
  }
}

# Lines of a file in bounded memory; a last one without its end counts.
count_lines <- function(path) {
  connection <- base::file(path, "rb")
  on.exit(close(connection))
  lines <- 0
  last <- as.raw(10L)
  repeat {
    bytes <- readBin(connection, "raw", 2^20)
    if (!length(bytes)) {
      return(lines + (last != as.raw(10L)))
    }
    lines <- lines + sum(bytes == as.raw(10L))
    last <- bytes[length(bytes)]
  }
}

# list(marker, chromosome, position, allele, other) of lines of a .bim file, the markers `columns`.
parse_bim <- function(lines, source, columns) {
  fields <- strsplit(trimws(lines), "[ \t]+")
  bad <- which(lengths(fields) != 6L)
  if (length(bad) || length(fields) != length(columns)) {
    line <- if (length(bad)) columns[bad[1L]] else columns[length(fields) + 1L]
    pp_abort("markers", c(
      x = "Line {line} of {.file {source$bim}} does not describe a marker.",
      i = "Six fields are needed: chromosome, name, genetic and physical position, two alleles."
    ))
  }
  fields <- matrix(as.character(unlist(fields)), 6L)
  list(
    marker = fields[2L, ], chromosome = fields[1L, ],
    position = suppressWarnings(as.numeric(fields[4L, ])), allele = fields[5L, ],
    other = fields[6L, ]
  )
}

# The same of any columns, in one pass over the file.
bim_rows <- function(source, columns) {
  wanted <- sort(unique(columns))
  found <- character(length(wanted))
  each_bim_chunk(source, function(lines, first) {
    here <- wanted > first & wanted <= first + length(lines)
    found[here] <<- lines[wanted[here] - first]
    max(wanted) > first + length(lines)
  })
  parse_bim(found[match(columns, wanted)], source, columns)
}

find_in_bim <- function(source, wanted) {
  at <- rep(NA_real_, length(wanted))
  each_bim_chunk(source, function(lines, first) {
    names <- parse_bim(lines, source, first + seq_along(lines))$marker
    here <- match(wanted, names)
    new <- is.na(at) & !is.na(here)
    at[new] <<- first + here[new]
    anyNA(at)
  })
  stats::setNames(at, wanted)[!is.na(at)]
}

# visit(lines, first) with the number of lines before; until it returns FALSE.
each_bim_chunk <- function(source, visit, size = 10000L) {
  connection <- base::file(source$bim, "r")
  on.exit(close(connection))
  first <- 0
  repeat {
    lines <- readLines(connection, size)
    if (!length(lines) || !visit(lines, first)) {
      return(invisible())
    }
    first <- first + length(lines)
  }
}
