# Genotype files: the same as the matrix they hold, in blocks of bounded memory.

n <- 30
samples <- paste0("id", 1:n)
names_of_markers <- paste0("rs", 1:21)
genotype <- genotypes(n, 21, seed = 21)
genotype[cbind(c(1, 4, 30, 30), c(1, 1, 2, 21))] <- NA
genotype[, 5] <- NA
genotype[, 6] <- 2L
K <- exp(-abs(outer(1:n, 1:n, "-")) / 5)
response <- withr::with_seed(22, rnorm(n))
fit <- gaussian_null(response, cbind(rep(1, n)), K, 0.5)
plain <- function(scan) as.data.frame(scan)
local_bed <- function(genotype, samples, markers = names_of_markers, ..., env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  write_bed(genotype, file.path(folder, "test"), samples, markers, ...)
}

test_that("a file gives what its matrix gives", {
  expected <- genotype
  colnames(expected) <- names_of_markers
  scan <- plain(marker_scan(fit, expected))
  for (rows in c(30, 29, 28, 27)) {
    path <- local_bed(genotype[seq_len(rows), ], samples[seq_len(rows)])
    some <- gaussian_null(response[seq_len(rows)], cbind(rep(1, rows)),
                          K[seq_len(rows), seq_len(rows)], 0.5)
    from_file <- plain(marker_scan(some, path))
    from_matrix <- plain(marker_scan(some, expected[seq_len(rows), ]))
    expect_identical(from_file[names(scan)], from_matrix)
  }
  path <- local_bed(genotype, samples)
  for (size in c(1, 2, 5, 21)) {
    expect_identical(plain(marker_scan(fit, path, block_size = size))[names(scan)], scan)
  }
  found <- plain(marker_scan(fit, path))
  expect_identical(found$chromosome, rep(c("1", "2"), length.out = 21))
  expect_identical(found$position, 100 * seq_len(21))
  expect_identical(unique(found$allele), "A")
  expect_identical(unique(found$other), "G")
  expect_identical(found$missing[c(1, 2, 5, 21)], c(2L, 1L, 30L, 1L))
  expect_identical(is.na(found$p), seq_len(21) %in% 5:6)
  # Without the ending
  expect_identical(plain(marker_scan(fit, sub(".bed", "", path, fixed = TRUE))), found)
})

test_that("samples are matched by their identifiers", {
  named <- fit
  named$names <- samples
  more <- rbind(genotypes(4, 21, seed = 23), genotype)
  order <- withr::with_seed(24, sample(n + 4))
  path <- local_bed(more[order, ], c(paste0("other", 1:4), samples)[order])
  expect_identical(plain(marker_scan(named, path))[2:9],
                   plain(marker_scan(named, genotype))[2:9])
  path <- local_bed(genotype[-3, ], samples[-3])
  expect_error(marker_scan(named, path), "id3", class = "partialpool_error_markers")
  expect_error(marker_scan(fit, path), "29", class = "partialpool_error_markers")
  path <- local_bed(genotype, replace(samples, 4, "id3"))
  expect_error(marker_scan(named, path), class = "partialpool_error_markers")
})

test_that("sets are found by name in a file", {
  path <- local_bed(genotype, samples)
  sets <- list(a = c("rs20", "rs3"), b = "rs1")
  scan <- marker_scan(fit, path, sets = sets)
  expect_identical(plain(scan), plain(marker_scan(fit, genotype, sets = list(a = c(20, 3), b = 1))))
  expect_identical(attr(scan, "markers")$marker, c("rs20", "rs3", "rs1"))
  expect_error(
    marker_scan(fit, path, sets = list(c("rs1", "rs99"))), "rs99",
    class = "partialpool_error_markers"
  )
})

test_that("results of a file stream to a file, with workers too", {
  path <- local_bed(genotype, samples)
  scan <- plain(marker_scan(fit, path))
  file <- withr::local_tempfile(fileext = ".csv")
  marker_scan(fit, path, block_size = 4, file = file)
  expect_equal(
    utils::read.csv(file, colClasses = c(chromosome = "character")), scan, tolerance = 1e-14
  )
  skip_if_not_installed("future.apply")
  skip_on_cran()
  withr::defer(future::plan("sequential"))
  future::plan("multisession", workers = 2)
  expect_identical(plain(marker_scan(fit, path, block_size = 4)), scan)
})

test_that("files that are not what they should be are refused by name", {
  refused <- function(path, message) {
    expect_error(marker_scan(fit, path), message, class = "partialpool_error_markers")
  }
  path <- local_bed(genotype, samples)
  bytes <- readBin(path, "raw", 1e4)
  writeBin(bytes[-length(bytes)], path)
  refused(path, "truncated")
  writeBin(bytes[seq_len(length(bytes) - 8)], path)
  refused(path, "20 markers")
  writeBin(replace(bytes, 3, as.raw(0)), path)
  refused(path, "ordered by sample")
  writeBin(replace(bytes, 1, as.raw(0)), path)
  refused(path, "PLINK")
  writeBin(raw(), path)
  refused(path, "PLINK")
  writeBin(bytes, path)
  expect_s3_class(marker_scan(fit, path), "pp_scan")
  bim <- sub("bed$", "bim", path)
  lines <- readLines(bim)
  writeLines(replace(lines, 7, "1 rs7 0"), bim)
  refused(path, "Line 7")
  unlink(bim)
  refused(path, "no file")
  writeLines(lines, bim)
  writeLines("one", sub("bed$", "fam", path))
  refused(path, "fam")
  refused(c(path, path), "path of one")
  refused(file.path(tempdir(), "absent.bed"), "absent")
})
